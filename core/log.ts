import { type Logger, pino, stdTimeFunctions } from 'pino'

export type Log = Logger

/** Most processes write to a pipe or a file, and don't wait for it to be loaded. */
const pretty = process.stdout.isTTY ? (await import('pino-pretty')).default : undefined

/**
 * One line an event of the service's life, never one a request. JSON on stdout, or readable lines where stdout is a
 * terminal. Lines are written synchronously: they are few, and the last one before an exit matters most.
 */
export function createLog(options: { level: string; process: string }): Log {
  const settings = {
    level: options.level,
    base: { process: options.process, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const destination = pino.destination({ dest: process.stdout.fd, sync: true })
  destination.on('error', (error: NodeJS.ErrnoException) => {
    // The terminal was closed, or the reader of the pipe has ended: a server that stops in order needs nobody to listen.
    if (error.code !== 'EIO' && error.code !== 'EPIPE') throw error
  })
  if (pretty === undefined) return pino(settings, destination)
  const readable = { colorize: true, singleLine: true, ignore: 'pid', translateTime: 'SYS:HH:MM:ss.l' }
  return pino(settings, pretty({ ...readable, destination }))
}

import { type Logger, pino, stdTimeFunctions } from 'pino'
import pretty from 'pino-pretty'

export type Log = Logger

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
  if (!process.stdout.isTTY) return pino(settings)
  return pino(
    settings,
    pretty({ colorize: true, sync: true, singleLine: true, ignore: 'pid', translateTime: 'SYS:HH:MM:ss.l' }),
  )
}

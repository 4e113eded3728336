import { connect } from 'node:net'
import { embeddedProbeMsMax } from '../limits.ts'

/**
 * Asks a service on the loopback interface whether it is ready, in its own protocol, without a client library: libpq
 * must not be loaded by a process that starts Postgres, and one question needs no reconnecting client.
 */
function exchange(options: {
  port: number
  request: Uint8Array
  /** The verdict about the answer so far, `undefined` while more of it is needed. */
  judge: (answer: Buffer) => boolean | undefined
}): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: options.port })
    let answer = Buffer.alloc(0)
    const finish = (verdict: boolean) => {
      socket.destroy()
      resolve(verdict)
    }
    socket.setTimeout(embeddedProbeMsMax, () => finish(false))
    socket.on('error', () => finish(false)) // refused: not listening yet, which is an answer as well
    socket.on('close', () => finish(false))
    socket.on('connect', () => socket.write(options.request))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      const verdict = options.judge(answer)
      if (verdict !== undefined) finish(verdict)
    })
  })
}

/** Whether Redis takes commands: while it loads its data it answers -LOADING instead of +PONG. */
export function redisAnswers(options: { port: number; user: string; password: string }): Promise<boolean> {
  return exchange({
    port: options.port,
    request: Buffer.from(`AUTH ${options.user} ${options.password}\r\nPING\r\n`),
    judge: (answer) => {
      const [auth, ping] = answer.toString('latin1').split('\r\n')
      if (auth === undefined || ping === undefined || !answer.toString('latin1').endsWith('\r\n')) return undefined
      if (auth !== '+OK') return false
      return ping === '' ? undefined : ping === '+PONG'
    },
  })
}

const protocolVersion = 3 << 16
const authenticationRequest = 'R'.charCodeAt(0)
const errorResponse = 'E'.charCodeAt(0)
/** SQLSTATE cannot_connect_now: starting up, recovering, or shutting down. */
const cannotConnectNow = 'C57P03\0'

/** Whether Postgres takes sessions: like pg_isready, it opens one and leaves when asked for the password. */
export function postgresAnswers({ port, user, name }: { port: number; user: string; name: string }): Promise<boolean> {
  const parameters = Buffer.from(`user\0${user}\0database\0${name}\0\0`)
  const request = Buffer.alloc(8 + parameters.length)
  request.writeInt32BE(request.length, 0)
  request.writeInt32BE(protocolVersion, 4)
  parameters.copy(request, 8)
  return exchange({
    port,
    request,
    judge: (answer) => {
      if (answer.length < 5) return undefined
      if (answer[0] === authenticationRequest) return true
      if (answer[0] !== errorResponse) return false
      if (answer.length < 1 + answer.readInt32BE(1)) return undefined
      return !answer.includes(cannotConnectNow) // any other refusal comes from a server that is up
    },
  })
}

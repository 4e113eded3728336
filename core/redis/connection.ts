import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions as TlsOptions } from 'node:tls'

import { Redis, type RedisOptions } from 'ioredis'
import { hostAndPort } from '../config/listen-hosts.ts'
import { Fault, isBug } from '../faults.ts'
import { redisCommandTimeoutMs, redisConnectTimeoutMs, redisReconnectDelayMsMax } from '../limits.ts'
import { makeStringsFastAgain } from './fast-strings.ts'

makeStringsFastAgain()

/** For those who run commands of their own on a connection: only this folder imports ioredis. */
export type RedisConnection = Redis

export interface RedisSettings {
  readonly host: string
  readonly port: number
  /** '': Redis' user `default`. */
  readonly user: string
  readonly password: string
  readonly tls: boolean
  /** File with the authorities that are trusted; '' or absent: those that Node.js knows. */
  readonly tlsCa?: string
}

export interface ConnectionOptions {
  /** Shown by Redis' CLIENT LIST. */
  readonly name: string
  /** Called on every change between connected and not; `fault` says why a connection was lost or could not be made. */
  readonly onState?: (state: 'up' | 'down', fault?: Fault) => void
  /** Longest wait for a reply. A connection for blocking reads needs more than their block time. */
  readonly commandTimeoutMs?: number
}

/**
 * A connection that never runs a command twice. ioredis would by default queue commands while it is offline and
 * resend those whose reply was lost; a batch that Redis already decided would then be decided again. Here such a
 * command fails, and the client is told that a retry is safe because the operations themselves are idempotent.
 * Once it was connected it reconnects for ever.
 */
export function connectRedis(settings: RedisSettings, options: ConnectionOptions): Redis {
  let wasUp = false
  const redis = new Redis({
    ...neverTwice,
    // Until then each attempt is one of firstConnect's. Ended by disconnect() instead, it would leave a mark in ioredis,
    // which takes it for the reason to give up the connection that a later attempt made, the first time that it is lost.
    retryStrategy: (attempt: number) =>
      wasUp ? Math.min(50 * 2 ** Math.min(attempt, 10), redisReconnectDelayMsMax) : null,
    host: settings.host,
    port: settings.port,
    ...(settings.user === '' ? {} : { username: settings.user }),
    ...(settings.password === '' ? {} : { password: settings.password }),
    ...(settings.tls ? { tls: tlsOptions(settings) } : {}),
    connectionName: options.name,
    commandTimeout: options.commandTimeoutMs ?? redisCommandTimeoutMs,
  })
  let up: boolean | undefined
  let lastFault: Fault | undefined
  redis.on('ready', () => {
    up = true
    wasUp = true
    lastFault = undefined
    options.onState?.('up')
  })
  redis.on('error', (error: Error) => {
    lastFault = redisFault(error)
  })
  redis.on('close', () => {
    if (up === false) return
    up = false
    options.onState?.('down', lastFault)
  })
  return redis
}

/** The name in the certificate is checked against the host, be it a name or an address; only a name may be sent ahead. */
function tlsOptions({ host, tlsCa = '' }: RedisSettings): TlsOptions {
  return {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(tlsCa === '' ? {} : { ca: readFileSync(tlsCa) }),
  }
}

const neverTwice = {
  lazyConnect: true,
  protocol: 2,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  // It subscribes anew without looking at the answer: a refusal would be an unhandled rejection.
  autoResubscribe: false,
  // CLIENT SETINFO, which newer engines know, takes a right that nothing here needs: each refusal is a line of ACL LOG.
  disableClientInfo: true,
  maxRetriesPerRequest: 0,
  connectTimeout: redisConnectTimeoutMs,
} as const satisfies RedisOptions

/** The error codes with which the functions refuse a run of Redis that may not decide. */
const unsoundReplies = /^HC(?:EPOCH|RUN) /

/**
 * Redis' own refusals (a script error, out of memory, read-only, wrong password), ours that its state may not be sold
 * from, and everything else (no connection, no reply). ioredis hangs the command with its arguments on its errors, the
 * password among them, so the original error is not kept as a cause.
 * @throws what is a bug, as it is
 */
export function redisFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  if (isBug(error)) throw error
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) }
  if (name === 'ReplyError') {
    return new Fault(unsoundReplies.test(message) ? 'HC_RECORD_UNSOUND' : 'HC_REDIS_REFUSED', message)
  }
  return new Fault('HC_REDIS_UNAVAILABLE', message === '' ? 'connection failed' : message)
}

/** A replica takes no writes: a new connection may lead to the one that was promoted in its place. */
export function isFromReplica({ message }: Fault): boolean {
  return message.startsWith('READONLY')
}

/** Connects for the first time: one attempt, which may be repeated when it has failed. @throws Fault HC_REDIS_UNAVAILABLE | HC_REDIS_REFUSED */
export async function firstConnect(redis: Redis, settings: RedisSettings): Promise<void> {
  let refused: Fault | undefined
  const remember = (error: Error): void => {
    refused = redisFault(error)
  }
  redis.on('error', remember)
  try {
    await redis.connect()
  } catch (error) {
    const fault = refused ?? redisFault(error)
    throw new Fault(fault.code, `Redis at ${hostAndPort(settings.host, settings.port)}: ${fault.message}`)
  } finally {
    redis.off('error', remember)
  }
}

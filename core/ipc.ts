import type { Config } from './config/load.ts'
import type { LogPosition } from './log-position.ts'
import type { ShardState } from './shard-state.ts'
import { firstShard } from './shards.ts'
import type { TokenJwk } from './tokens/key-set.ts'

/** What a primary and its children say to each other over the IPC channel. */

export type ChildKind = 'http' | 'persister'

/** How an HTTP worker judges itself. */
export interface WorkerHealth {
  /** degraded: it sells, and something that it can do without for a while is away. */
  readonly status: 'ready' | 'degraded' | 'not_ready'
  /** What it was judged by, each with a `status` in words. */
  readonly checks: Readonly<Record<string, { readonly status: string }>>
}

/** What came of asking all HTTP workers how they are. */
export interface HealthRound {
  /** Of each worker that takes connections; null: it did not say in time. */
  readonly accepting: readonly (WorkerHealth | null)[]
  /** How many HTTP workers there should be. */
  readonly wanted: number
  /** Absent: nobody has said how many days the record should have at most; or the primary is of a version before. */
  readonly recordDays?: RecordDaysCheck
}

/** How many days ago the oldest day is that has attempts on record; over: it is older than it should be. As `/readyz` shows it. */
export interface RecordDaysCheck {
  readonly status: 'within' | 'over'
  readonly days: number
  readonly days_max: number
}

/** Absent: the other side is of a version before, which knows only the first shard. */
interface OfShard {
  readonly shard?: number
}

/**
 * With APP_BUYERS=signed: the keys that tokens are checked with. HTTP workers get it after `start` and after every look at
 * where they come from.
 */
export interface TokenKeysMessage {
  readonly type: 'token_keys'
  readonly keys: readonly TokenJwk[]
  /** When they were last seen there (Date.now()). */
  readonly seenMs: number
  /** Another look may be asked for after so long. */
  readonly againInMs: number
  /** The last look failed. */
  readonly isAway: boolean
}

export type ToChild =
  | TokenKeysMessage
  /**
   * The answer to `listening`: the effective settings (embedded services included), over the channel and not the environment.
   * Without `answersProbes` the primary is of a version that doesn't know `probe`.
   */
  | { readonly type: 'start'; readonly config: Config; readonly answersProbes?: boolean }
  /**
   * Whether the shard may be sold from; HTTP workers get it when it changes and after `start`. 0.1.0 knows it by this name.
   */
  | ({ readonly type: 'record'; readonly report: ShardState } & OfShard)
  /** Say which log entries of the shard you have answered. */
  | ({ readonly type: 'seen' } & OfShard)
  /** Say how you are, now, with this id. HTTP workers only. */
  | { readonly type: 'health'; readonly id: number }
  /** The answer to `probe`, with its id. */
  | { readonly type: 'probed'; readonly id: number; readonly round: HealthRound }
  /** Send your numbers, with this id. */
  | { readonly type: 'metrics'; readonly id: number }
  /** Say not ready, take nothing new, finish what was accepted (HTTP) or drain the log to its end (persister), exit 0. */
  | { readonly type: 'drain' }
  /** The same for an HTTP worker whose place another has taken: clients still find the port open, so it must lose nobody. */
  | { readonly type: 'retire' }

export type FromChild =
  /**
   * The first message, as soon as it listens. What is sent to a child before that is lost: node:cluster listens in it
   * from the beginning, so Node keeps nothing for a listener that comes with the (asynchronously loaded) main module.
   */
  | { readonly type: 'listening' }
  | { readonly type: 'ready' }
  /**
   * It is not ready because something else is not there (or, `isRefused`, there and refuses), which is tried on: said again
   * and again while that lasts.
   */
  | { readonly type: 'waiting'; readonly for: string; readonly isRefused?: boolean }
  /** From now on the kernel may give it connections, be it ready or not. */
  | { readonly type: 'accepting' }
  /** Somebody wants to know how the whole server is: ask all HTTP workers from now on, and answer with this id. */
  | { readonly type: 'probe'; readonly id: number }
  /** The answer to `health`. */
  | { readonly type: 'health'; readonly id: number; readonly health: WorkerHealth }
  /** A token names a key that the worker doesn't have: answered with `token_keys`. */
  | { readonly type: 'key_unknown' }
  /** It lives. An HTTP worker sends one for each shard; `seen`: the newest log entry whose decisions it has answered. */
  | ({ readonly type: 'heartbeat'; readonly seen?: LogPosition | undefined } & OfShard)
  /** The answer to `seen`. */
  | ({ readonly type: 'seen'; readonly seen?: LogPosition | undefined } & OfShard)
  /** `metrics` as prom-client's `registry.getMetricsAsJSON()` gives it. */
  | { readonly type: 'metrics'; readonly id: number; readonly metrics: readonly unknown[] }
  /** It can't do its work and ends: the primary logs why. */
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  /** It stops with work left (its drain was cut short): sentences for people. */
  | { readonly type: 'left'; readonly what: string }

/** The shard that a message is about. */
export function shardOfMessage({ shard = firstShard }: OfShard): number {
  return shard
}

/** @returns whether there is a primary */
export function sendToPrimary(message: FromChild): boolean {
  if (process.connected) process.send?.(message)
  return process.connected
}

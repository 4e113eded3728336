import type { RedisSettings } from '../../core/redis/connection.ts'
import type { Mix } from '../load/settings.ts'

/** What a generator is told first. */
export interface PlaceOrder {
  readonly kind: 'place'
  readonly redis: Pick<RedisSettings, 'host' | 'port' | 'cluster'>
  readonly shards: number
  /** Its number, from 0, of so many that load the same place together. */
  readonly generator: number
  readonly generators: number
}

/** How many commands are out: connections of a given number, or as many as give a mean batch of so many commands. */
export type Pressure = { readonly connections: number } | { readonly batch: number }

/** One measured run: a sale of its own. */
export interface RunOrder {
  readonly kind: 'run'
  readonly sale: number
  readonly mix: Mix
  readonly fresh: number
  readonly hot: number
  readonly items: number
  readonly users: number
  readonly userLimit: number
  readonly holdSeconds: number
  readonly seed: number
  readonly pressure: Pressure
  /** Decisions before the measured ones. */
  readonly warmup: number
  /** Decisions that are measured, unless they take longer than `secondsMax`. */
  readonly decisions: number
  readonly secondsMax: number
}

export type Order = PlaceOrder | RunOrder

/** Of one generator. Counts and times are of the measured part alone. */
export interface RunResult {
  readonly seconds: number
  readonly connections: number
  readonly decisions: number
  readonly checkouts: number
  readonly held: number
  readonly purchased: number
  /** Checkouts that found no right in the shard of their item. */
  readonly withoutRight: number
  readonly loansAsked: number
  readonly limitReached: number
  /** Answers without a decision (503). */
  readonly undecided: number
  readonly calls: number
  /** Commands in all calls: decisions, loans, and what was sent again. */
  readonly commands: number
  /** us of CPU, user and system, of the Redis of each shard. */
  readonly redisUs: readonly number[]
  readonly generatorUs: number
  /** ms from offering a command to its answer, from an HdrHistogram: encoded, in us. */
  readonly latencies: string
  /** Over the warm-up as well: what the record has to have. */
  readonly outcomesEver: Readonly<Record<string, number>>
}

export type Said = { readonly kind: 'ready' } | { readonly kind: 'result'; readonly result: RunResult }

import type { FaultCode } from './faults.ts'
import type { LogPosition } from './log-position.ts'

/**
 * Whether a shard may be sold from, in one word for all: the comparison of Redis with Postgres finds it (recovery/verdict.ts),
 * the primary's guard acts on it and tells its workers, `/readyz` and the log say it. Where it isn't `sound` a client gets the
 * problem `recovering` and the requests count as shed for `record_unsound`, whichever of the others it is.
 * ARCHITECTURE.md has the picture.
 */
export const shardStates = {
  /** Redis has everything that is on record: it decides. */
  sound: {},
  /** This run of Redis was not compared with Postgres yet. */
  unverified: {},
  /** Redis has forgotten decisions, and waits for a person to start the rebuild. */
  lost: { whatNext: 'Nothing is sold until it was rebuilt from Postgres: run `npm run recover`' },
  /** Redis has forgotten decisions, and is being rebuilt. */
  recovering: { whatNext: 'Nothing is sold until the live sales were rebuilt from Postgres, which begins now' },
  /** Redis and Postgres don't belong together, or Redis is not set up as it must be. */
  refused: { whatNext: 'Nothing is sold until an operator has mended that' },
} as const satisfies Record<string, { readonly whatNext?: string }>

export type ShardStateName = keyof typeof shardStates

export interface ShardState {
  readonly status: ShardStateName
  readonly fault?: FaultCode
  /** For people. */
  readonly reason?: string
  /**
   * Of a sound shard: its epoch, and where the one before it ended; null: it follows on nothing, as Redis was rebuilt. A primary
   * of a version before says nothing of it.
   */
  readonly epoch?: { readonly number: number; readonly after: LogPosition | null }
}

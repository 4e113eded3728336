import { Arena, roundsPerArena } from './arena.ts'
import type { Evidence } from './evidence.ts'
import type { FaultName } from './faults.ts'
import { Releases } from './releases.ts'
import { type RoundReport, runRound } from './round.ts'

/** A round whose server did not recover, or an arena whose end was not as it must be. */
export interface Failure {
  readonly seed: number
  readonly error: Error
  readonly serverLog: string
}

export interface SeriesOptions {
  /** Of the first round; the next one has the next number. */
  readonly seed: number
  readonly rounds: number
  readonly kinds: readonly FaultName[]
  /** Above one: of a cluster. */
  readonly shards: number
  /** APP_ACK: one arena has the first, the next one the second. */
  readonly acks: readonly Evidence['ack'][]
  readonly signal?: AbortSignal
  readonly onRound: (report: RoundReport) => void
  readonly onFailure: (failure: Failure) => void
}

/** Runs the rounds, in one fresh arena after the other. A failure costs the rest of its arena, not of the series. */
export async function runSeries(options: SeriesOptions): Promise<void> {
  const end = options.seed + options.rounds
  let next = options.seed
  while (next < end && options.signal?.aborted !== true) next = await runArena(next, end, options)
}

/** Answers the seed of the round to go on with. */
async function runArena(first: number, end: number, options: SeriesOptions): Promise<number> {
  const scope = new Releases()
  let seed = first
  let arena: Arena | undefined
  try {
    arena = await Arena.start(scope, {
      seed: first,
      shards: options.shards,
      ack: options.acks[Math.floor(first / roundsPerArena) % options.acks.length] ?? 'redis',
    })
    for (; seed < Math.min(end, first + roundsPerArena) && options.signal?.aborted !== true; seed++) {
      const report = await runRound(arena, seed, options.kinds)
      options.onRound(report)
      if (report.breachCount > 0) return seed + 1
    }
    await arena.sellOut()
    await arena.audit()
    return seed
  } catch (error) {
    options.onFailure({ seed, error: error as Error, serverLog: arena?.logTail() ?? '' })
    return seed + 1
  } finally {
    await scope.release()
  }
}

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
  /** Of each sale; as many as an arena of all its rounds wants unless they are given. */
  readonly items?: number
  /** APP_ACK: one arena has the first, the next one the second. */
  readonly acks: readonly Evidence['ack'][]
  /** Ends it after the round that is under way. */
  readonly stop?: AbortSignal
  /** Ends it at once: what was started is ended, and the round is not judged. */
  readonly abort?: AbortSignal
  readonly onRound: (report: RoundReport) => void
  readonly onFailure: (failure: Failure) => void
}

/**
 * Runs the rounds, in one fresh arena after the other. A failure costs the rest of its arena, not of the series.
 * @throws Aborted
 */
export async function runSeries(options: SeriesOptions): Promise<void> {
  const end = options.seed + options.rounds
  let next = options.seed
  while (next < end && options.stop?.aborted !== true) next = await runArena(next, end, options)
}

/** What was under way has no end any more: whoever catches it ends the process. */
export class Aborted extends Error {}

/** Answers the seed of the round to go on with. */
async function runArena(first: number, end: number, options: SeriesOptions): Promise<number> {
  const scope = new Releases()
  try {
    const rounds = runRounds(scope, { first, end }, options)
    return await Promise.race([rounds, rejectionOf(options.abort)])
  } finally {
    await scope.release()
  }
}

function rejectionOf(abort: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => abort?.addEventListener('abort', () => reject(new Aborted())))
}

async function runRounds(
  scope: Releases,
  { first, end }: { first: number; end: number },
  options: SeriesOptions,
): Promise<number> {
  const isStopped = () => options.stop?.aborted === true
  let seed = first
  let arena: Arena | undefined
  try {
    arena = await Arena.start(scope, {
      seed: first,
      shards: options.shards,
      ...(options.items === undefined ? {} : { items: options.items }),
      ack: options.acks[Math.floor(first / roundsPerArena) % options.acks.length] ?? 'redis',
    })
    for (; seed < Math.min(end, first + roundsPerArena) && !isStopped(); seed++) {
      const report = await runRound(arena, seed, options.kinds)
      options.onRound(report)
      if (report.breachCount > 0) return seed + 1
    }
    if (!isStopped()) await arena.sellOut()
    await arena.audit()
    return seed
  } catch (error) {
    if (options.abort?.aborted === true) return seed
    options.onFailure({ seed, error: error as Error, serverLog: arena?.logTail() ?? '' })
    return seed + 1
  }
}

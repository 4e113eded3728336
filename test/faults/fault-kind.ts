import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import type { Arena } from './arena.ts'
import type { Target } from './turns.ts'

export interface FaultKind {
  /** For people: what is done. */
  readonly about: string
  /** Nobody else may break these meanwhile. */
  readonly targets: readonly Target[]
  /** Where it can be done: with one Redis, or with a cluster; absent: with either. */
  readonly on?: 'single' | 'cluster'
  /** Why it can't be done on this machine; undefined when it can. */
  readonly obstacle?: () => string | undefined
  /** Breaks something and makes it whole again. Answers what was done, in a few words. */
  readonly inject: (arena: Arena, random: SeededRandom) => Promise<string>
}

import { Fault } from '../../core/faults.ts'
import type { ChildKind } from '../../core/ipc.ts'
import { crashBudgetDeaths, crashBudgetWindowMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { CrashHistory } from './restart-policy.ts'

export interface ReplacementsOptions {
  readonly log: Log
  /** The back-off of one is over. */
  readonly onDue: (kind: ChildKind) => void
  /** One waits no more, and won't come. */
  readonly onCancelled: () => void
  /** The crash budget is spent; nobody is replaced any more. */
  readonly onBudgetSpent: (fault: Fault) => void
}

export interface Death {
  readonly kind: ChildKind
  /** 0: it could not be forked. */
  readonly pid: number
  /** How it ended and why, for people. */
  readonly end: string
}

interface Replacement {
  readonly kind: ChildKind
  timer: NodeJS.Timeout | undefined
}

/** Whether a child that died is replaced, and when: those whose back-off runs, and the crash budget that ends it all. */
export class Replacements {
  readonly #options: ReplacementsOptions
  readonly #waiting = new Set<Replacement>()
  readonly #history = new CrashHistory()
  readonly #lastDeaths = new Map<ChildKind, Death>()
  #haveEnded = false

  constructor(options: ReplacementsOptions) {
    this.#options = options
  }

  /** Nobody is replaced any more. */
  get haveEnded(): boolean {
    return this.#haveEnded
  }

  /** Of each whose back-off runs. */
  get waitingKinds(): ChildKind[] {
    return [...this.#waiting].map(({ kind }) => kind)
  }

  /** The last of its kind, also when it was not replaced. */
  lastDeath(kind: ChildKind): Death | undefined {
    return this.#lastDeaths.get(kind)
  }

  /**
   * Has the dead one replaced after its back-off, unless it is not wanted or the budget is spent.
   * @returns false when nobody is replaced any more: it didn't count, nor was it logged
   */
  died(death: Death, isWanted: boolean): boolean {
    const { log, onBudgetSpent } = this.#options
    const { kind, pid, end } = death
    this.#lastDeaths.set(kind, death)
    if (this.#haveEnded) return false
    const delayMs = this.#history.record(kind, performance.now())
    log.error({ kind, child: pid }, `a process died: ${end}`)
    if (this.#history.isBudgetSpent) {
      this.end()
      const what = `more than ${crashBudgetDeaths} processes died within ${crashBudgetWindowMs / 1_000} s`
      onBudgetSpent(new Fault('HC_CRASH_BUDGET', `${what}, the last one: ${kind}, ${end}`))
    } else if (isWanted) {
      this.#replaceLater(kind, delayMs)
    }
    return true
  }

  /** @returns how many of the kind were waiting, and won't come */
  cancel(kind: ChildKind): number {
    const cancelled = [...this.#waiting].filter((replacement) => replacement.kind === kind)
    for (const replacement of cancelled) this.#cancel(replacement)
    return cancelled.length
  }

  /** From now on nobody is replaced. */
  end(): void {
    this.#haveEnded = true
    for (const replacement of this.#waiting) this.#cancel(replacement)
  }

  #replaceLater(kind: ChildKind, delayMs: number): void {
    const replacement: Replacement = { kind, timer: undefined }
    replacement.timer = setTimeout(() => {
      this.#waiting.delete(replacement)
      this.#options.onDue(kind)
    }, delayMs)
    this.#waiting.add(replacement)
  }

  #cancel(replacement: Replacement): void {
    clearTimeout(replacement.timer)
    this.#waiting.delete(replacement)
    this.#options.onCancelled()
  }
}

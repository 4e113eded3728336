import type { ChildKind } from '../../core/ipc.ts'
import { crashBudgetDeaths, crashBudgetWindowMs, restartDelayMsMax, restartDelayMsMin } from '../../core/limits.ts'

/** The wait before the replacement of a child whose kind has died `deaths` times lately, this death included. */
export function restartDelayMs(deaths: number): number {
  return Math.min(restartDelayMsMax, restartDelayMsMin * 2 ** Math.max(0, deaths - 1))
}

/**
 * The deaths within the window of the crash budget. The back-off counts by kind, so that a persister that can't work
 * doesn't slow down the replacement of an HTTP worker; the budget counts all of them. Times are those of a monotonic
 * clock, in ms.
 */
export class CrashHistory {
  #deaths: { readonly kind: ChildKind; readonly atMs: number }[] = []

  /** Records a death; answers how long its replacement has to wait. */
  record(kind: ChildKind, nowMs: number): number {
    this.#deaths = this.#deaths.filter(({ atMs }) => nowMs - atMs < crashBudgetWindowMs)
    this.#deaths.push({ kind, atMs: nowMs })
    return restartDelayMs(this.#deaths.filter((death) => death.kind === kind).length)
  }

  /** As of the last recorded death. */
  get isBudgetSpent(): boolean {
    return this.#deaths.length > crashBudgetDeaths
  }
}

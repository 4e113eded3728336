/** What a stretch of load came to, in answers. Every answer is counted once, in exactly one place. */
export interface Tally {
  /** Requests that were written to a socket, repeats after a lost answer included. */
  sent: number
  /** 200s to a checkout that was not a copy. */
  holds: number
  /** 200s to a first purchase with a code. */
  purchases: number
  /** 200s to a request that had been answered before: copies, and purchases once more. */
  repeats: number
  /** Business rejections (4xx) by the problem's code. */
  rejected: Record<string, number>
  /** 5xx by the problem's code. */
  failed: Record<string, number>
  /** What a right server never answers, by what it is. */
  unexpected: Record<string, number>
  timeouts: number
  /** Connections that were lost while an answer was awaited, by the system's code. */
  socketErrors: Record<string, number>
}

export function newTally(): Tally {
  return {
    sent: 0,
    holds: 0,
    purchases: 0,
    repeats: 0,
    rejected: {},
    failed: {},
    unexpected: {},
    timeouts: 0,
    socketErrors: {},
  }
}

export function count(into: Record<string, number>, key: string, by = 1): void {
  into[key] = (into[key] ?? 0) + by
}

export function addTally(into: Tally, from: Tally): void {
  into.sent += from.sent
  into.holds += from.holds
  into.purchases += from.purchases
  into.repeats += from.repeats
  into.timeouts += from.timeouts
  for (const part of ['rejected', 'failed', 'unexpected', 'socketErrors'] as const)
    for (const [key, times] of Object.entries(from[part])) count(into[part], key, times)
}

export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, times) => total + times, 0)
}

/** 2xx. */
export function accepted({ holds, purchases, repeats }: Tally): number {
  return holds + purchases + repeats
}

/** Answers of any kind. */
export function answered(tally: Tally): number {
  return accepted(tally) + sum(tally.rejected) + sum(tally.failed) + sum(tally.unexpected)
}

/** Requests that went without an answer. */
export function unanswered({ timeouts, socketErrors }: Tally): number {
  return timeouts + sum(socketErrors)
}

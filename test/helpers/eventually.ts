import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

/** Between two looks: a tenth of what was waited for so far, within these. Some conditions ask every process of a server. */
const [pollMsMin, pollMsMax] = [20, 150]
/** Far longer than anything takes that is waited for, also on a machine that does a dozen other things: a bound, no measure. */
export const patienceMs = 120_000

/**
 * Waits until the condition gives something truthy, and gives that. A condition that throws counts as not met yet, so
 * it may be an assertion.
 * @param options.pollMs between two looks at least: longer where one costs much
 * @throws AssertionError when the deadline passes, with the condition's last error as its cause
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  {
    deadlineMs = patienceMs,
    pollMs = pollMsMin,
    what = 'the condition',
  }: { deadlineMs?: number; pollMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const beganMs = Date.now()
  let problem: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
    } catch (error) {
      problem = error
    }
    const waitedMs = Date.now() - beganMs
    if (waitedMs > deadlineMs) {
      const last = problem instanceof Error ? `; last: ${problem.message}` : ''
      const failure = new assert.AssertionError({ message: `${what} did not come true in ${deadlineMs} ms${last}` })
      failure.cause = problem
      throw failure
    }
    await delay(Math.max(pollMs, Math.min(waitedMs / 10, pollMsMax)))
  }
}

/** Of what Redis gives up after 5 s, where the other masters are too busy for it. */
const handOverMsMax = 10_000

/** Has a replica take over from its master. @param ask CLUSTER FAILOVER: again whenever Redis must have given it up */
export async function handedOver(ask: () => Promise<unknown>, isDone: () => Promise<boolean>): Promise<void> {
  await eventually(
    async () => {
      if (await isDone()) return true
      await ask()
      return await eventually(isDone, { deadlineMs: handOverMsMax })
    },
    { what: 'the failover' },
  )
}

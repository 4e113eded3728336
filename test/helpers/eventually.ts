import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

const pollMs = 20
/** Far longer than anything takes that is waited for, also on a machine that does a dozen other things: a bound, no measure. */
const patienceMs = 120_000

/**
 * Waits until the condition gives something truthy, and gives that. A condition that throws counts as not met yet, so
 * it may be an assertion.
 * @throws AssertionError when the deadline passes, with the condition's last error as its cause
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { deadlineMs = patienceMs, what = 'the condition' }: { deadlineMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + deadlineMs
  let problem: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
    } catch (error) {
      problem = error
    }
    if (Date.now() > deadline) {
      const last = problem instanceof Error ? `; last: ${problem.message}` : ''
      const failure = new assert.AssertionError({ message: `${what} did not come true in ${deadlineMs} ms${last}` })
      failure.cause = problem
      throw failure
    }
    await delay(pollMs)
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

import { setTimeout as delay } from 'node:timers/promises'

import { Fault, type FaultCode } from '../core/faults.ts'
import { dependencyRetryDelayMs, dependencyStartMsMax } from '../core/limits.ts'
import type { Log } from '../core/log.ts'

/**
 * Repeats an attempt while it fails as `unavailable`, for a bounded time. Any other fault will not go away by itself.
 * @throws Fault of the last attempt; the signal's reason when it is aborted
 */
export async function whenAvailable<Result>(
  attempt: () => Result | Promise<Result>,
  options: { unavailable: FaultCode; log: Log; signal: AbortSignal },
): Promise<Result> {
  const { unavailable, log, signal } = options
  const deadlineMs = performance.now() + dependencyStartMsMax
  for (let attempts = 1; ; attempts++) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== unavailable || performance.now() > deadlineMs) throw error
      // Said once and at once: libpq gives the same code for a wrong password as for a server that is still starting.
      if (attempts === 1) log.warn({ code: error.code }, `waiting up to ${dependencyStartMsMax} ms: ${error.message}`)
    }
    await delay(dependencyRetryDelayMs, undefined, { signal })
  }
}

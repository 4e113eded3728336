import { setTimeout as delay } from 'node:timers/promises'

import { Fault, type FaultCode } from '../../core/faults.ts'
import { dependencyRetryDelayMs, dependencyStartMsMax, waitSayMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'

interface Patience {
  /** For "waiting for ...". */
  readonly what: string
  readonly unavailable: FaultCode
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Repeats an attempt while it fails as `unavailable`, for a bounded time. Any other fault will not go away by itself.
 * An attempt that is under way when the signal is aborted is left behind: it has to end by itself.
 * @throws Fault of the last attempt; the signal's reason when it is aborted
 */
export async function whenAvailable<Result>(
  attempt: () => Promise<Result>,
  { what, unavailable, log, signal }: Patience,
): Promise<Result> {
  const deadlineMs = performance.now() + dependencyStartMsMax
  for (let attempts = 1; ; attempts++) {
    signal.throwIfAborted()
    try {
      // The first one may hang before it fails.
      return await (attempts === 1 ? patiently(attempt(), { what, log, signal }) : unlessAborted(attempt(), signal))
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== unavailable || performance.now() > deadlineMs) throw error
      // Said once and at once: libpq gives the same code for a wrong password as for a server that is still starting.
      const { code, message } = error
      if (attempts === 1) log.warn({ code }, `waiting for ${what}, up to ${dependencyStartMsMax} ms: ${message}`)
    }
    await delay(dependencyRetryDelayMs, undefined, { signal })
  }
}

/**
 * Waits for work that is bounded by itself; says so when it takes long.
 * @throws the signal's reason as soon as it is aborted, whatever becomes of the work
 */
export async function patiently<Result>(
  work: Promise<Result>,
  { what, log, signal }: Omit<Patience, 'unavailable'>,
): Promise<Result> {
  const late = setTimeout(() => log.info(`waiting for ${what}`), waitSayMs)
  try {
    return await unlessAborted(work, signal)
  } finally {
    clearTimeout(late)
  }
}

/** @throws the signal's reason as soon as it is aborted, whatever becomes of the work */
function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

import type { ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { getText } from '../../core/get-text.ts'

const startMsMax = 120_000
/** One attempt to ask. */
const answerMsMax = 10_000
const pollMs = 100

/**
 * Waits until a child answers at `url`, and with no 5xx.
 * @param stop awaited before the error, if it doesn't: whoever started the child would not end while it lives
 * @throws Error when it has ended, or does not answer in time
 */
export async function whenAnswering(url: string, child: ChildProcess, stop: () => Promise<void>): Promise<void> {
  try {
    await answers(url, child)
  } catch (error) {
    await stop()
    throw error
  }
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + startMsMax
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the server ended before it answered at ${url}`)
    const isAnswering = await getText(url, answerMsMax).then(
      ({ status }) => status < 500,
      () => false, // not listening yet
    )
    if (isAnswering) return
    await delay(pollMs)
  }
  throw new Error(`no answer at ${url} after ${startMsMax} ms`)
}

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Ends a child in its own order, or after `patienceMs` at once; returns when it has ended. */
export async function stopChild(child: ChildProcess, patienceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const last = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  await ended
  clearTimeout(last)
}

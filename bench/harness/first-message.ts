import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** How long a process may take to load its code, also on a busy machine. */
export const loadedMsMax = 90_000

/**
 * The next message of a child.
 * @param msMax how long it may take; without it only the child's end is a bound
 * @throws when there is none in that time, or the child ends without one: nobody would ever hear of it
 */
export async function firstMessage<Message>(child: ChildProcess, msMax?: number): Promise<Message> {
  const settled = new AbortController()
  const late = msMax === undefined ? [] : [AbortSignal.timeout(msMax)]
  const signal = AbortSignal.any([settled.signal, ...late])
  const ended = once(child, 'exit', { signal }).then(([code, by]) => {
    throw new Error(`process ${child.pid} ended before it said anything (${by === null ? `exit status ${code}` : by})`)
  })
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal }), ended])) as [Message]
    return message
  } finally {
    ended.catch(() => undefined) // aborted
    settled.abort()
  }
}

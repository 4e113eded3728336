import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** The next message of a child. @throws when it ends without one: nobody would ever hear of it */
export async function firstMessage<Message>(child: ChildProcess): Promise<Message> {
  const settled = new AbortController()
  const { signal } = settled
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

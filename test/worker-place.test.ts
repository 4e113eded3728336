import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

// A primary that was started from the version before, in whose place this one was put, forks the path that it knows.
test('a primary of the version before finds the program of an HTTP worker where it was', async (t) => {
  const worker = fork(fileURLToPath(new URL('../server/http-worker-main.js', import.meta.url)), { stdio: 'ignore' })
  t.after(() => worker.kill('SIGKILL'))
  const [message] = (await once(worker, 'message')) as [{ type: string }]
  assert.equal(message.type, 'listening')
  const exited = once(worker, 'exit') as Promise<[number]>
  worker.disconnect()
  assert.equal((await exited)[0], 1)
})

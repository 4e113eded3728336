import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { test } from 'node:test'

import { firstMessage } from './first-message.ts'

test('a child that ends without a word is an error, not a wait without an end', async () => {
  const child = fork('/nowhere/no-such-program.js', { stdio: 'ignore' })
  await assert.rejects(firstMessage(child), /ended before it said anything \(exit status 1\)/)
})

test('the first message of a child is given', async (t) => {
  const child = fork('-e', ['process.send({ hello: 1 }); setInterval(() => undefined, 1_000)'], {
    execPath: process.execPath,
    execArgv: [],
    stdio: 'ignore',
  })
  t.after(() => child.kill('SIGKILL'))
  assert.deepEqual(await firstMessage(child), { hello: 1 })
})

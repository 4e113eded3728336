import assert from 'node:assert/strict'
import { createConnection, createServer } from 'node:net'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { startTimeLimit } from './time-limit.ts'

const limitMs = 50

test('what has come before a limit is over is read first, after a standstill too', async (t) => {
  const server = createServer((socket) => socket.write('answer')).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const came: string[] = []
  const client = createConnection(port, '127.0.0.1')
  t.after(() => client.destroy())
  client.on('data', () => came.push('answer'))
  await new Promise<void>((resolve) => {
    // In the turn in which the server writes: its answer is in the kernel then.
    server.once('connection', () => {
      startTimeLimit(limitMs, () => {
        came.push('late')
        resolve()
      })
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * limitMs) // nothing runs for so long
    })
  })
  assert.deepEqual(came, ['answer', 'late'])
})

test('one that is ended calls nobody, in whichever moment', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const over: string[] = []
  const endBefore = startTimeLimit(limitMs, () => over.push('before'))
  const endBetween = startTimeLimit(limitMs, () => over.push('between'))
  startTimeLimit(limitMs, () => over.push('never ended'))
  endBefore()
  t.mock.timers.tick(limitMs)
  endBetween()
  await nextTurn()
  assert.deepEqual(over, ['never ended'])
})

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { type TestContext, test } from 'node:test'

import { waitSayMs } from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import { Waits } from './waits.ts'

function setUp(t: TestContext) {
  const clock = { ms: 0 }
  t.mock.method(performance, 'now', () => clock.ms)
  const told: string[] = []
  const tell = (_fields: unknown, message: string): void => void told.push(message)
  return { clock, told, waits: new Waits({ warn: tell, info: tell } as unknown as Log) }
}

test('a wait is said once when it takes long, again when reminded, and that it is over', async (t) => {
  const { clock, told, waits } = setUp(t)
  const emitter = new EventEmitter()
  const waiting = waits.on('an answer', once(emitter, 'answer'))
  clock.ms = waitSayMs - 1
  waits.look()
  assert.deepEqual(told, [])
  clock.ms = waitSayMs
  waits.look()
  waits.look()
  assert.deepEqual(told, ['waiting for an answer'])
  waits.remind()
  waits.look()
  assert.deepEqual(told.splice(0), ['waiting for an answer', 'waiting for an answer'])
  emitter.emit('answer', 7)
  assert.deepEqual(await waiting, [7])
  assert.equal(told.length, 1)
  waits.remind()
  waits.look()
  assert.equal(told.length, 1)
})

test('a short wait is not worth a word, and its failure is passed on', async (t) => {
  const { told, waits } = setUp(t)
  await assert.rejects(waits.on('an answer', Promise.reject(new Error('none'))), /none/)
  waits.look()
  assert.deepEqual(told, [])
})

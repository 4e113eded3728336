import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../../core/faults.ts'
import { signalEchoMs } from '../../core/limits.ts'
import { createLog } from '../../core/log.ts'
import { Shutdown, type Stage } from './shutdown.ts'

const log = createLog({ level: 'silent', process: 'test' })
const started = Promise.resolve()

function shutdown(deadlineMs = 60_000): Shutdown {
  return new Shutdown({ log, deadlineMs })
}

/** A stage that notes what happens to it. */
function stage(name: string, events: string[], overrides: Partial<Stage> = {}): Stage {
  return {
    name,
    close: () => {
      events.push(`close ${name}`)
      return Promise.resolve([])
    },
    kill: () => {
      events.push(`kill ${name}`)
      return Promise.resolve()
    },
    ...overrides,
  }
}

const never = () => new Promise<string[]>(() => undefined)

test('parts close in the reverse order of their opening, and the status is 0', async () => {
  const events: string[] = []
  const stopping = shutdown()
  for (const name of ['a', 'b', 'c']) stopping.opened(stage(name, events))
  const status = stopping.run(started)
  stopping.onSignal('SIGTERM')
  assert.equal(await status, 0)
  assert.deepEqual(events, ['close c', 'close b', 'close a'])
})

test('a part that leaves something, or fails to close, does not stop the others from closing, and the status tells', async () => {
  for (const close of [() => Promise.resolve(['work']), () => Promise.reject(new Error('no'))]) {
    const events: string[] = []
    const stopping = shutdown()
    stopping.opened(stage('a', events))
    stopping.opened(stage('b', events, { close }))
    const status = stopping.run(started)
    stopping.onSignal('SIGINT')
    assert.equal(await status, 1)
    assert.deepEqual(events, ['close a'])
  }
})

test('a fault stops the service in order, with status 1', async () => {
  const events: string[] = []
  const stopping = shutdown()
  stopping.opened(stage('a', events))
  const status = stopping.run(started)
  stopping.onFault(new Fault('HC_CRASH_BUDGET', 'too many'))
  assert.equal(await status, 1)
  assert.deepEqual(events, ['close a'])
})

test('a start that fails closes what it had opened', async () => {
  const events: string[] = []
  const stopping = shutdown()
  stopping.opened(stage('a', events))
  assert.equal(await stopping.run(Promise.reject(new Fault('HC_LOG_LOST', 'gone'))), 1)
  assert.deepEqual(events, ['close a'])
})

test('a signal in mid-start aborts it, and what was opened so far closes, with status 0', async () => {
  const events: string[] = []
  const stopping = shutdown()
  stopping.opened(stage('a', events))
  const aborted = new Promise<void>((_, reject) => {
    stopping.signal.addEventListener('abort', () => reject(stopping.signal.reason as Error))
  })
  const status = stopping.run(aborted)
  stopping.onSignal('SIGTERM')
  assert.equal(await status, 0)
  assert.deepEqual(events, ['close a'])
})

test('past the deadline what is open is killed, what is closed is not, and the status is 1', async () => {
  const events: string[] = []
  const stopping = shutdown(1)
  stopping.opened(stage('a', events))
  stopping.opened(stage('b', events, { close: never }))
  stopping.opened(stage('c', events))
  const status = stopping.run(started)
  stopping.onSignal('SIGTERM')
  assert.equal(await status, 1)
  assert.deepEqual(events, ['close c', 'kill b', 'kill a'])
})

test('the echo of a signal changes nothing; a second press ends at once with its number in the status', async (t) => {
  let nowMs = 0
  t.mock.method(performance, 'now', () => nowMs)
  const events: string[] = []
  const stopping = shutdown()
  stopping.opened(stage('a', events, { close: never }))
  const status = stopping.run(started)
  stopping.onSignal('SIGINT')
  nowMs = signalEchoMs - 1
  stopping.onSignal('SIGINT')
  await new Promise(setImmediate)
  assert.deepEqual(events, [])
  nowMs = signalEchoMs
  stopping.onSignal('SIGINT')
  assert.equal(await status, 130)
  assert.deepEqual(events, ['kill a'])
})

test('a signal while the service stops because of a fault ends at once', async () => {
  const events: string[] = []
  const stopping = shutdown()
  stopping.opened(stage('a', events, { close: never }))
  const status = stopping.run(started)
  stopping.onFault(new Fault('HC_EMBEDDED_FAILED', 'Redis ended'))
  stopping.onSignal('SIGTERM')
  assert.equal(await status, 143)
  assert.deepEqual(events, ['kill a'])
})

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import type { HealthRound, ToChild, WorkerHealth } from '../../core/ipc.ts'
import { healthGatherMsMax, healthRoundIntervalMs } from '../../core/limits.ts'
import { HealthRounds } from './health-rounds.ts'

const ready: WorkerHealth = { status: 'ready', checks: {} }

/** A worker that remembers what it was sent. */
class Worker {
  isAccepting = true
  readonly asked: number[] = []
  readonly told: { id: number; round: HealthRound }[] = []

  send(message: ToChild): void {
    if (message.type === 'health') this.asked.push(message.id)
    if (message.type === 'probed') this.told.push(message)
  }

  get question(): number {
    return this.asked.at(-1) ?? 0
  }
}

/** On a clock that stands still until the test moves it. */
function setUp(t: TestContext, count = 2) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const workers = Array.from({ length: count }, () => new Worker())
  const rounds = new HealthRounds({ workers: () => workers, wanted: () => count, now: () => Date.now() })
  t.after(() => rounds.close())
  const say = (worker: Worker, id = worker.question) => rounds.heard(worker, { type: 'health', id, health: ready })
  return { rounds, workers, say }
}

test('a probe is answered when all workers have said how they are', (t) => {
  const { rounds, workers, say } = setUp(t)
  const [first, second] = workers as [Worker, Worker]
  rounds.heard(first, { type: 'probe', id: 7 })
  assert.deepEqual([first.asked.length, second.asked.length], [1, 1], 'the one that asks is asked as well')
  say(first)
  assert.deepEqual(first.told, [])
  say(second)
  assert.deepEqual(first.told, [{ type: 'probed', id: 7, round: { accepting: [ready, ready], wanted: 2 } }])
  assert.deepEqual(second.told, [])
})

test('probes that come while a round runs share the next one: what was said before them proves nothing', (t) => {
  const { rounds, workers, say } = setUp(t)
  const [first, second] = workers as [Worker, Worker]
  rounds.heard(first, { type: 'probe', id: 1 })
  say(first)
  rounds.heard(first, { type: 'probe', id: 2 })
  rounds.heard(second, { type: 'probe', id: 1 })
  const old = second.question
  say(second)
  assert.deepEqual([first.told.length, second.told.length], [1, 0])
  assert.equal(first.asked.length, 1, 'not at once')
  t.mock.timers.tick(healthRoundIntervalMs)
  assert.equal(first.asked.length, 2)
  say(first)
  say(second, old)
  assert.equal(second.told.length, 0, 'an answer to the question before')
  say(second)
  assert.deepEqual([first.told.length, second.told.length], [2, 1])
})

test('one that does not answer in time is silent, and one that has ended is none any more', async (t) => {
  const { rounds, workers, say } = setUp(t, 3)
  const [first, hung, dead] = workers as [Worker, Worker, Worker]
  rounds.heard(first, { type: 'probe', id: 1 })
  say(first)
  rounds.gone(dead)
  assert.equal(first.told.length, 0)
  t.mock.timers.tick(healthGatherMsMax)
  await nextTurn() // what has come by then is read first
  assert.deepEqual(first.told[0]?.round.accepting, [ready, null])
  say(hung)
  assert.equal(first.told.length, 1)
})

test('the word of one that took no connections yet is not held against the server when it takes them at the end', (t) => {
  const { rounds, workers, say } = setUp(t)
  const [first, starting] = workers as [Worker, Worker]
  starting.isAccepting = false
  rounds.heard(first, { type: 'probe', id: 1 })
  rounds.heard(starting, { type: 'health', id: 1, health: { status: 'not_ready', checks: {} } })
  starting.isAccepting = true
  say(first)
  assert.deepEqual(first.told[0]?.round, { accepting: [ready], wanted: 2 })
})

test('one that takes no connections is not counted, and one that begins to during the round is', (t) => {
  const { rounds, workers, say } = setUp(t)
  const [first, starting] = workers as [Worker, Worker]
  starting.isAccepting = false
  rounds.heard(first, { type: 'probe', id: 1 })
  say(first)
  say(starting)
  assert.deepEqual(first.told[0]?.round, { accepting: [ready], wanted: 2 })
  rounds.heard(first, { type: 'probe', id: 2 })
  t.mock.timers.tick(healthRoundIntervalMs)
  say(first)
  starting.isAccepting = true
  say(starting)
  assert.deepEqual(first.told[1]?.round, { accepting: [ready, ready], wanted: 2 })
})

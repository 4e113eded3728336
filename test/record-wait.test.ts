// Goal: a reader is let in once the record has what it wants, and nobody waits without an end.
// Method: the record and the logs say what the test lets them say, and the clock is the test's.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../core/faults.ts'
import { parseLogPosition } from '../core/log-position.ts'
import { QueryParameters } from '../server/worker/http/query-parameters.ts'
import { recordWaitersMax } from '../server/worker/limits.ts'
import { RecordWait, type WantedRecord } from '../server/worker/reading/record-wait.ts'
import { eventually } from './helpers/eventually.ts'

function setUp() {
  const state = { nowMs: 0, ends: ['1-5', '1-8'], reached: ['1-4', '1-7'], looks: 0, logLooks: 0, hangs: false }
  const faults: string[] = []
  let fault: { at: 'logs' | 'record'; fault: Fault } | undefined
  const shards = [0, 1].map((number) => ({
    number,
    store: {
      logState: () => {
        state.logLooks += 1
        if (state.hangs) return new Promise<never>(() => undefined)
        if (fault?.at === 'logs') return Promise.reject(fault.fault)
        return Promise.resolve({ last: parseLogPosition(state.ends[number] ?? '') })
      },
    },
  }))
  const record = {
    reached: () => {
      state.looks += 1
      return fault?.at === 'record' ? Promise.reject(fault.fault) : Promise.resolve(state.reached.map(parseLogPosition))
    },
  }
  const wait = new RecordWait({ shards, record, onFault: (code) => faults.push(code), now: () => state.nowMs })
  const said: string[] = []
  const ask = (name: string, query: string, gone: { is: boolean } = { is: false }) => {
    const exchange = {
      reply: ({ body }: { body: string }) => void said.push(`${name} ${(JSON.parse(body) as { code: string }).code}`),
      shed: (reason: string) => void said.push(`${name} ${reason}`),
      get isGone() {
        return gone.is
      },
    }
    const wanted = wait.wanted(new QueryParameters(query)) as WantedRecord
    wait.until(exchange, wanted, (reached) => said.push(`${name} reads at ${reached.map(({ seq }) => seq).join()}`))
  }
  const looked = async (count: number) => {
    const from = state.looks
    await eventually(() => state.looks >= from + count)
  }
  const fail = (at: 'logs' | 'record', code: 'HC_POSTGRES_UNAVAILABLE' | 'HC_REDIS_UNAVAILABLE' | undefined) => {
    fault = code === undefined ? undefined : { at, fault: new Fault(code, 'gone') }
  }
  return { state, wait, said, faults, ask, looked, fail }
}

test('a reader waits for where the logs ended when it came, of every shard', async () => {
  const { state, said, ask, looked } = setUp()
  ask('ann', 'wait=1000')
  await looked(2)
  assert.deepEqual(said, [])
  state.ends = ['1-99', '1-99'] // what comes later is not waited for
  state.reached = ['1-5', '1-6']
  await looked(2)
  assert.deepEqual(said, [])
  state.reached = ['1-5', '1-8']
  await eventually(() => said.length === 1)
  assert.deepEqual(said, ['ann reads at 5,8'])
  assert.equal(state.logLooks, 2)
})

test('a reader that names a decision waits for that alone, and Redis is asked once whether its log has that', async () => {
  const { state, said, ask, looked } = setUp()
  ask('ann', 'decision=1-4-17')
  ask('bob', 'decision=1:1-8-0&wait=1000')
  await eventually(() => said.length === 1)
  await looked(1)
  assert.deepEqual(said, ['ann reads at 4,7'])
  state.reached = ['1-4', '2-0'] // a later epoch has passed it
  await eventually(() => said.length === 2)
  assert.equal(said[1], 'bob reads at 4,0')
  assert.equal(state.logLooks, 2, 'once a shard, and not for ann')
})

test('a decision that the log has not come to is not waited for', async () => {
  const { said, ask, wait } = setUp()
  for (let n = 0; n < recordWaitersMax; n++) ask('mallory', `decision=1-6-${n}&wait=5000`)
  ask('ann', 'wait=5000')
  await eventually(() => wait.requests === 0)
  const behind = said.filter((line) => line === 'mallory record_behind')
  assert.deepEqual([said[0], behind.length, said.length], ['ann overloaded', recordWaitersMax, recordWaitersMax + 1])
})

test('at the end of its wait a reader is told that the record is behind, and without one at once', async () => {
  const { state, said, ask, looked, wait } = setUp()
  ask('ann', 'decision=1-5-0')
  ask('bob', 'decision=1-5-0&wait=1000')
  await eventually(() => said.length === 1)
  await looked(2)
  assert.deepEqual(said, ['ann record_behind'])
  state.nowMs = 1_000
  await eventually(() => said.length === 2)
  assert.deepEqual([said[1], wait.requests], ['bob record_behind', 0])
})

test('when the worker goes, those that wait are answered, and whoever comes gets one look', async () => {
  const { said, ask, looked, wait } = setUp()
  ask('ann', 'wait=5000')
  await looked(1)
  wait.endWaits()
  await eventually(() => said.length === 1)
  ask('bob', 'wait=5000')
  ask('cid', 'decision=1-4-0&wait=5000')
  await eventually(() => said.length === 3)
  assert.deepEqual(said.toSorted(), ['ann record_behind', 'bob record_behind', 'cid reads at 4,7'])
})

test('who waits is bounded, and who has gone waits no more', async () => {
  const { said, ask, wait } = setUp()
  const gone = { is: false }
  for (let n = 0; n < recordWaitersMax; n++) ask(`reader ${n}`, 'wait=5000', gone)
  ask('one more', 'wait=5000')
  assert.deepEqual(said, ['one more overloaded'])
  gone.is = true
  await eventually(() => wait.requests === 0)
  assert.deepEqual(said, ['one more overloaded'])
})

test('a Redis or a Postgres that is away is said at once, each to those that need it', async () => {
  const { said, faults, ask, fail } = setUp()
  fail('logs', 'HC_REDIS_UNAVAILABLE')
  ask('ann', 'wait=5000')
  ask('bob', 'decision=1-4-0&wait=5000')
  await eventually(() => said.length === 2)
  fail('record', 'HC_POSTGRES_UNAVAILABLE')
  ask('cid', 'decision=1-4-0&wait=5000')
  await eventually(() => said.length === 3)
  assert.deepEqual(said.toSorted(), ['ann unavailable', 'bob reads at 4,7', 'cid records_unavailable'])
  assert.deepEqual(faults, ['HC_REDIS_UNAVAILABLE', 'HC_POSTGRES_UNAVAILABLE'])
})

test('a Redis that hangs keeps nobody waiting who names a decision', async () => {
  const { state, said, ask } = setUp()
  state.hangs = true
  ask('ann', 'wait=5000')
  ask('bob', 'decision=1-4-0&wait=5000')
  await eventually(() => said.length === 1)
  assert.deepEqual(said, ['bob reads at 4,7'])
})

test('what is malformed is refused, and without either parameter nothing is waited for', () => {
  const { wait } = setUp()
  const wrong = ['wait=x', 'wait=-1', 'wait=5001', 'wait=1&wait=2', 'decision=', 'decision=1-1', 'decision=1-0-0']
  for (const query of [...wrong, 'decision=2:1-1-0', 'decision=0:1-1-0', 'decision=1-1-0-0']) {
    const asked = new QueryParameters(query)
    wait.wanted(asked)
    assert.match(asked.malformed?.body ?? '', /The parameter (wait|decision) (must be|is given more than once)/, query)
  }
  assert.equal(wait.wanted(new QueryParameters('limit=1')), undefined)
})

test('one who comes alone, again and again, shares its looks with nobody and gets no more of them', async () => {
  const { state, said, ask } = setUp()
  ask('ann', 'decision=1-4-0')
  await eventually(() => said.length === 1)
  ask('ann', 'decision=1-4-0')
  // It has come behind the pause: all that could be done at once is done.
  await new Promise<void>((resolve) => process.nextTick(resolve))
  assert.deepEqual([state.looks, said.length], [1, 1])
  await eventually(() => said.length === 2)
  assert.equal(state.looks, 2)
})

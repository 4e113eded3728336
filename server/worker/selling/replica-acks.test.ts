import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../../../core/faults.ts'
import { ReplicaAcks } from './replica-acks.ts'

const log = Object.assign(Object.create(null), { warn: () => undefined, info: () => undefined, error: () => undefined })

type Answer = { confirmed: number; online?: number; seq?: number } | Error

/** A Redis whose answers to a WAIT the test gives by hand. */
class ManualWaits {
  isUp = true
  run = 'first'
  readonly asked: { run: string; awaited: number; answer: (answer: Answer) => void }[] = []
  replicas = { awaited: 1, online: 1 }
  looks = 0

  connect = async (): Promise<void> => undefined
  assertRights = async (): Promise<void> => undefined
  reconnect = (): void => undefined
  close = (): void => undefined

  look = async () => {
    this.looks += 1
    return this.replicas
  }

  wait = (run: string, awaited: number) =>
    new Promise<{ position: { epoch: number; seq: number }; confirmed: number; online: number }>((resolve, reject) => {
      const answer = (given: Answer): void => {
        if (given instanceof Error) reject(given)
        else resolve({ position: { epoch: 1, seq: given.seq ?? 99 }, online: 1, ...given })
      }
      this.asked.push({ run, awaited, answer })
    })
}

function setUp() {
  const waits = new ManualWaits()
  const seen: string[] = []
  const metrics = { fault: (code: string) => void seen.push(code), replicated: () => undefined }
  const acks = new ReplicaAcks({ shard: 0, waits, log, metrics })
  const ends: string[] = []
  const confirm = (id: string, run = 'first') => {
    void acks.confirm(id, run).then((fault) => ends.push(fault === undefined ? id : `${id} ${fault.code}`))
  }
  return { waits, acks, ends, confirm, seen }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('one WAIT is out at a time, and the next is for all that came meanwhile', async () => {
  const { waits, ends, confirm } = setUp()
  confirm('1-1')
  await turn()
  for (const id of ['1-2', '1-3', '']) confirm(id)
  await turn()
  assert.equal(waits.asked.length, 1)
  waits.asked[0]?.answer({ confirmed: 1 })
  await turn()
  assert.deepEqual([ends, waits.asked.length], [['1-1'], 2])
  waits.asked[1]?.answer({ confirmed: 1 })
  await turn()
  assert.deepEqual([ends, waits.asked.length], [['1-1', '1-2', '1-3', ''], 2])
})

test('what not all replicas have is asked for again, and one that joins meanwhile is waited for', async () => {
  const { waits, ends, confirm } = setUp()
  confirm('1-1')
  await turn()
  waits.asked[0]?.answer({ confirmed: 0 })
  await turn()
  waits.replicas = { awaited: 2, online: 2 }
  waits.asked[1]?.answer({ confirmed: 1, online: 2 })
  await turn()
  assert.deepEqual([ends, waits.asked.map(({ awaited }) => awaited)], [[], [1, 1, 2]])
  waits.asked[2]?.answer({ confirmed: 2, online: 2 })
  await turn()
  assert.deepEqual(ends, ['1-1'])
})

test('a replica that is marked FAIL while it is waited for is waited for no more', async () => {
  const { waits, acks, ends, confirm } = setUp()
  confirm('1-1')
  await turn()
  waits.replicas = { awaited: 0, online: 1 }
  waits.asked[0]?.answer({ confirmed: 0 })
  await turn()
  assert.deepEqual([ends, acks.facts], [['1-1'], { status: 'none', awaited: 0 }])
})

test('when the connection breaks, or leads to another run, nothing is confirmed', async () => {
  const { waits, acks, ends, confirm, seen } = setUp()
  confirm('1-1')
  await turn()
  waits.asked[0]?.answer(new Fault('HC_REDIS_UNAVAILABLE', 'gone'))
  await turn()
  waits.run = 'second'
  confirm('1-2', 'first')
  await turn()
  waits.asked[1]?.answer({ confirmed: 1 })
  await turn()
  assert.deepEqual(ends, ['1-1 HC_REPLICA_LATE', '1-2 HC_REPLICA_LATE'])
  assert.deepEqual([seen.length, acks.facts.status], [2, 'behind'])
  confirm('1-3', 'second')
  await turn()
  waits.asked[2]?.answer({ confirmed: 1 })
  await turn()
  assert.deepEqual([ends.at(-1), acks.facts.status], ['1-3', 'complete'])
})

test('a Redis whose log is behind a batch has not got it, whatever its replicas say', async () => {
  const { waits, ends, confirm } = setUp()
  confirm('1-5')
  await turn()
  waits.asked[0]?.answer({ confirmed: 1, seq: 4 })
  await turn()
  assert.deepEqual(ends, ['1-5 HC_REPLICA_LATE'])
})

test('after its time a batch is given up, and those that came later are not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  t.mock.method(performance, 'now', () => nowMs)
  const { ends, confirm } = setUp()
  confirm('1-1')
  nowMs = 3_000
  confirm('1-2')
  nowMs = 5_000
  t.mock.timers.tick(5_000)
  await turn()
  assert.deepEqual(ends, ['1-1 HC_REPLICA_LATE'])
  nowMs = 8_000
  t.mock.timers.tick(3_000)
  await turn()
  assert.deepEqual(ends, ['1-1 HC_REPLICA_LATE', '1-2 HC_REPLICA_LATE'])
})

test('closing gives up what waits, and what still comes', async () => {
  const { acks, ends, confirm } = setUp()
  confirm('1-1')
  acks.close()
  confirm('1-2')
  await turn()
  assert.deepEqual(ends, ['1-1 HC_REPLICA_LATE', '1-2 HC_REPLICA_LATE'])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault, type FaultCode } from '../core/faults.ts'
import { okHead } from '../server/worker/http/replies.ts'
import { ReadGate, type ReadReply } from '../server/worker/reading/read-gate.ts'
import { eventually } from './helpers/eventually.ts'

function setUp({ inFlightMax = 1, waitingMax = 10, deadlineMs = 60_000, isBusy = false } = {}) {
  const said: string[] = []
  const faults: FaultCode[] = []
  const reads: { readonly key: string; readonly end: (reply: ReadReply | Error) => void }[] = []
  const gate = new ReadGate({
    inFlightMax,
    waitingMax,
    deadlineMs,
    isSellingBusy: () => isBusy,
    onFault: (code) => faults.push(code),
  })
  const ask = (who: string, key: string, admittedMs = performance.now()) => {
    const exchange = {
      admittedMs,
      answer: (_head: unknown, body: string | Uint8Array) => said.push(`${who} ${String(body).slice(0, 60)}`),
      shed: (reason: string) => said.push(`${who} ${reason}`),
    }
    gate.offer(exchange, key, () => {
      return new Promise<ReadReply>((resolve, reject) => {
        reads.push({ key, end: (reply) => (reply instanceof Error ? reject(reply) : resolve(reply)) })
      })
    })
  }
  const underWay = (count: number) => eventually(() => reads.length === count, { what: `${count} reads` })
  const end = (body: string) => reads.at(-1)?.end({ head: okHead, body })
  return { gate, ask, said, faults, reads, underWay, end }
}

test('who asks for the same is answered together, but not with a read that is under way', async () => {
  const { ask, said, underWay, end } = setUp()
  ask('ann', 'x')
  await underWay(1)
  ask('bob', 'x')
  ask('carl', 'x')
  end('old')
  await underWay(2)
  assert.deepEqual(said, ['ann old'])
  end('new')
  await eventually(() => said.length === 3)
  assert.deepEqual(said, ['ann old', 'bob new', 'carl new'])
})

test('few reads are under way at once, the others follow in their order', async () => {
  const { gate, ask, reads, underWay, end } = setUp({ inFlightMax: 2 })
  for (const key of ['a', 'b', 'c', 'd']) ask(key, key)
  await underWay(2)
  assert.equal(gate.requests, 4)
  end('')
  await underWay(3)
  end('')
  await underWay(4)
  for (const { end: endIt } of reads) endIt({ head: okHead, body: '' })
  await eventually(() => gate.requests === 0)
  assert.deepEqual(
    reads.map(({ key }) => key),
    ['a', 'b', 'c', 'd'],
  )
})

test('more than may wait are turned away at once, and who waited too long in his turn', async () => {
  const { ask, said, reads, underWay, end } = setUp({ waitingMax: 3 })
  ask('ann', 'x')
  await underWay(1)
  ask('bob', 'y', performance.now() - 120_000)
  ask('carl', 'z', performance.now() + 60_000)
  ask('dora', 'z')
  assert.deepEqual(said, ['dora overloaded'])
  end('x')
  await underWay(2)
  end('z')
  await eventually(() => said.length === 4)
  assert.deepEqual(said.slice(1), ['ann x', 'bob late', 'carl z'])
  assert.equal(reads.length, 2)
})

test('while selling is busy reading goes on, one after the other', async () => {
  const { ask, said, underWay, end } = setUp({ isBusy: true })
  ask('ann', 'x')
  ask('bob', 'y')
  await underWay(1)
  end('x')
  await underWay(2)
  end('y')
  await eventually(() => said.length === 2)
  assert.deepEqual(said, ['ann x', 'bob y'])
})

test('a fault is a 503 that says what is away, and the next read is tried', async () => {
  const { ask, said, faults, reads, underWay, end } = setUp()
  const codes = ['HC_POSTGRES_UNAVAILABLE', 'HC_POSTGRES_BUSY', 'HC_REDIS_UNAVAILABLE'] as const
  for (const [n, code] of codes.entries()) {
    ask(code, code)
    await underWay(n + 1)
    reads.at(-1)?.end(new Fault(code, 'gone'))
    await eventually(() => faults.length === n + 1)
  }
  ask('last', 'last')
  await underWay(4)
  end('fine')
  await eventually(() => said.length === 4)
  assert.deepEqual(faults, codes)
  const problems = said.map((line) => /problem:(\w+)/.exec(line)?.[1])
  assert.deepEqual(problems, ['records_unavailable', 'overloaded', 'unavailable', undefined])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { NodeAddress } from '../config/cluster-nodes.ts'
import { Fault } from '../faults.ts'
import { firstShard } from '../shards.ts'
import { ClusterMap } from './cluster-map.ts'
import type { ClusterView } from './cluster-view.ts'

const listed: readonly NodeAddress[] = [
  { host: 'one', port: 1 },
  { host: 'two', port: 2 },
]
const away = new Fault('HC_REDIS_UNAVAILABLE', 'connect ECONNREFUSED')

/** A map that gives all slots to the node of this name. */
function mapOf(owner: string, epoch: number): ClusterView {
  const known = { busPort: 0, isMyself: false, masterId: undefined, hasFailed: false, isConnected: true }
  return { nodes: [{ ...known, id: owner, address: { host: owner, port: 9 }, epoch, slots: [[0, 16_383]] }] }
}

/** Answers are scripted by host; who isn't scripted is away. */
function scripted(answers: Record<string, () => Promise<ClusterView>>) {
  const asked: string[] = []
  const map = new ClusterMap({
    listed,
    ask: ({ host }) => {
      asked.push(host)
      return answers[host]?.() ?? Promise.reject(away)
    },
  })
  return { map, asked, answers }
}

async function lookedAgain(map: ClusterMap, isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    await map.masterOf(firstShard).catch(() => undefined)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('all listed nodes are asked, and one that never answers is not waited for', async () => {
  const { map, asked } = scripted({ one: () => new Promise(() => undefined), two: async () => mapOf('master', 2) })
  const master = await map.masterOf(firstShard)
  assert.deepEqual(master, { id: 'master', address: { host: 'master', port: 9 }, epoch: 2 })
  assert.deepEqual(asked, ['one', 'two'])
})

test('connections that look at the same moment share one look', async () => {
  const { map, asked } = scripted({ one: async () => mapOf('old', 2), two: async () => mapOf('new', 3) })
  const found = await Promise.all(Array.from({ length: 5 }, () => map.masterOf(firstShard)))
  assert.deepEqual(new Set(found.map(({ id }) => id)), new Set(['new']))
  assert.deepEqual(asked, ['one', 'two'])
})

test('members that are not listed are asked too, so that all listed ones may go', async () => {
  const { map, asked, answers } = scripted({
    one: async () => mapOf('third', 2),
    third: async () => mapOf('fourth', 3),
    fourth: async () => mapOf('fourth', 3), // the last question may be a look of its own
  })
  await map.masterOf(firstShard)
  delete answers['one']
  await lookedAgain(map, () => asked.includes('third'))
  assert.equal((await map.masterOf(firstShard)).id, 'fourth')
})

test('a connection is told when its shard has moved, and by nothing that is older than what it knows', async () => {
  let epoch = 5
  let owner = 'first'
  const { map, asked } = scripted({ one: async () => mapOf(owner, epoch) })
  const master = await map.masterOf(firstShard)
  let moved = 0
  map.follow({ shard: firstShard, master, onMoved: () => moved++ })
  const left = map.follow({ shard: firstShard, master, onMoved: () => assert.fail('it has left') })
  left()
  const looks = () => asked.filter((host) => host === 'one').length
  const look = async () => {
    const before = looks()
    await lookedAgain(map, () => looks() > before)
    await map.masterOf(firstShard)
  }
  ;[owner, epoch] = ['second', 4]
  await look()
  assert.equal(moved, 0)
  ;[owner, epoch] = ['first', 6]
  await look()
  assert.equal(moved, 0)
  ;[owner, epoch] = ['second', 7]
  await look()
  assert.equal(moved, 1)
  ;[owner, epoch] = ['third', 8]
  await look()
  assert.equal(moved, 1, 'it is told once: whoever is told leaves')
})

test('when nobody answers it is said who was asked, and a refusal tells more than an absence', async () => {
  const absent = { code: 'HC_REDIS_UNAVAILABLE', message: /one:1: connect ECONNREFUSED; two:2: connect ECONNREFUSED$/ }
  await assert.rejects(scripted({}).map.masterOf(firstShard), absent)
  const wrong = new Fault('HC_REDIS_REFUSED', 'WRONGPASS')
  const refused = { code: 'HC_REDIS_REFUSED', message: /two:2: WRONGPASS$/ }
  await assert.rejects(scripted({ two: () => Promise.reject(wrong) }).map.masterOf(firstShard), refused)
  const none = { code: 'HC_REDIS_UNAVAILABLE', message: /^shard 0 is in slot 8845, and no node of the cluster has it$/ }
  await assert.rejects(scripted({ one: async () => ({ nodes: [] }) }).map.masterOf(firstShard), none)
})

test('a bug in the asking is no absence', async () => {
  const bug = new TypeError('x is not a function')
  await assert.rejects(scripted({ one: () => Promise.reject(bug) }).map.masterOf(firstShard), bug)
})

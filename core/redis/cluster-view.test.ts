import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type ClusterView, ownerOf, readView } from './cluster-view.ts'

const [ann, bob, cid, dan] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(40)) as [string, string, string, string]
const asked = { host: 'asked.example', port: 7000 }

/** As Redis 7.0, Redis 7.2 and later, and Valkey 8 write their lines. */
const nodes = [
  `${ann} 10.0.0.1:6379@16379 myself,master - 0 1700000000000 3 connected 0-5460 9000 [9001->-${bob}]`,
  `${bob} 10.0.0.2:6379@16379,bob.example master - 0 1700000000000 7 connected 5461-8999 [12->-${ann}] [9001-<-${ann}]`,
  `${cid} 10.0.0.3:6379@16379,,shard-id=69bc080733d1355567173199cff4a6a039a2f024 slave ${ann} 0 1700000000000 3 connected`,
  `${dan} :0@0 master,fail,noaddr - 1700000000000 1700000000000 1 disconnected 9001-16383`,
  `${'e'.repeat(40)} 10.0.0.5:6379@16379 handshake - 0 0 0 connected`,
  '',
].join('\n')

test('the map of a node is read with addresses, epochs, flags and the slots that each node has', () => {
  const view = readView({ asked, nodes, slots: [] })
  assert.deepEqual(
    view.nodes.map(({ id, address, busPort, epoch, slots }) => ({ id, address, busPort, epoch, slots })),
    [
      {
        id: ann,
        address: { host: '10.0.0.1', port: 6379 },
        busPort: 16379,
        epoch: 3,
        slots: [
          [0, 5460],
          [9000, 9000],
        ],
      },
      { id: bob, address: { host: '10.0.0.2', port: 6379 }, busPort: 16379, epoch: 7, slots: [[5461, 8999]] },
      { id: cid, address: { host: '10.0.0.3', port: 6379 }, busPort: 16379, epoch: 3, slots: [] },
      { id: dan, address: undefined, busPort: 0, epoch: 1, slots: [[9001, 16_383]] },
    ],
  )
  const [one, two, three, four] = view.nodes
  assert.deepEqual([one?.isMyself, two?.isMyself], [true, false])
  assert.deepEqual([one?.masterId, three?.masterId], [undefined, ann])
  assert.deepEqual([two?.hasFailed, four?.hasFailed], [false, true])
  assert.deepEqual([two?.isConnected, four?.isConnected], [true, false])
})

test('clients connect where the cluster tells them to', () => {
  const addressOf = (endpoint: unknown) => {
    const slots = [[5461, 8999, [endpoint, 7001, bob, []], ['10.0.0.3', 7002, cid]]]
    return readView({ asked, nodes, slots }).nodes.find(({ id }) => id === bob)?.address
  }
  assert.deepEqual(addressOf('bob.shop.example'), { host: 'bob.shop.example', port: 7001 })
  assert.deepEqual(addressOf(null), { host: asked.host, port: 7001 }, 'unknown-endpoint: where the asked one is')
  for (const unknown of ['', '?']) assert.deepEqual(addressOf(unknown), { host: '10.0.0.2', port: 6379 }, unknown)
})

test('a node that does not know its own address is where it was asked', () => {
  const alone = readView({ asked, nodes: `${ann} :7000@17000 myself,master - 0 0 0 connected 0-16383`, slots: [] })
  assert.deepEqual(alone.nodes[0]?.address, asked)
})

function map(owner: string, epoch: number): ClusterView {
  return readView({ asked, nodes: `${owner} 10.0.0.1:6379@16379 master - 0 0 ${epoch} connected 100-200`, slots: [] })
}

test('of maps that differ about a slot the one with the higher epoch counts, whoever is asked first', () => {
  const views = [map(ann, 3), map(bob, 7), map(cid, 5)]
  for (const order of [views, views.toReversed()]) assert.equal(ownerOf(150, order)?.node.id, bob)
  assert.equal(ownerOf(201, views), undefined)
  assert.equal(ownerOf(150, []), undefined)
})

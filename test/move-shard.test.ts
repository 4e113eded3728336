// Goal: a shard moves to another master beside a server that sells, and nobody loses a hold or a purchase by it; wherever it is
// broken off, running it again brings it there.
// Method: the command on a real cluster with a real server; buyers who go on all the while; a persister that stands still, so
// that the shard is closed for as long as a test needs.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, type TestContext, test } from 'node:test'

import { slotOfShard } from '../core/redis/cluster-slot.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { Member } from '../ops/cluster/member.ts'
import { SlotMove } from '../ops/cluster/slot-move.ts'
import { Crowd } from './helpers/crowd.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { assertProblem, checkout, hold } from './helpers/items.ts'
import { Ledger } from './helpers/ledger.ts'
import { startMove } from './helpers/move-shard.ts'
import { moved, startMovingShop } from './helpers/moving-shop.ts'
import type { ClusterProcess } from './helpers/redis-cluster.ts'

const shop = await startMovingShop({ after })
const { nodes, server, sale, move, assertMoved, newItem, holdSome } = shop
const { untilSold, untilDrained, redeemAll, assertAudited, stopPersister, otherMaster } = shop

test('a shard moves under load: no hold is lost, nothing is sold twice, and the audit passes', async (t) => {
  const codes = await holdSome(12)
  await redeemAll(codes.slice(0, 1))
  const ledger = new Ledger()
  const http = new HttpClient(t, { baseUrl: server.baseUrl })
  const crowd = new Crowd({ http, ledger, sale: { id: sale, items: 600 }, users: 200, seed: 1 })
  let isEnough = false
  const buying = crowd.run(8, () => isEnough)
  await eventually(() => crowd.sold.size > 20)

  await assertMoved(t, await otherMaster())
  const before = crowd.sold.size
  await eventually(() => crowd.sold.size > before + 20)
  isEnough = true
  await buying

  await redeemAll(codes)
  await assertAudited()
})

test('while it is closed the other shards sell, and Ctrl+C takes it back to where it was', async (t) => {
  const home = await nodes.masterOf(moved)
  const goOn = stopPersister(t)
  const codes = await holdSome(3)
  const run = move(t, await otherMaster())
  await eventually(() => /draining: \d+ log entries of shard 1/.test(run.said()), { what: 'the wait for Postgres' })

  assert.equal((await checkout(server, 'zoe', newItem())).status, 503)
  for (const shard of [0, 2]) await hold(server, 'zoe', newItem(shard))
  process.kill(run.pid, 'SIGINT')
  const { status, stderr } = await run.ended
  assert.deepEqual([status, (await nodes.masterOf(moved)).id], [1, home.id], stderr)
  assert.match(stderr, /going back: shard 1 stays at .*\n.*shard 1 is admitted again/)
  await untilSold('the shard where it was')

  goOn()
  await redeemAll(codes)
  await assertAudited()
})

test('a log that nobody drains in time leaves the shard where it was', async (t) => {
  const goOn = stopPersister(t)
  const codes = await holdSome(1)
  const { status, stderr } = await move(t, await otherMaster(), ['--wait-seconds', '1']).ended
  assert.equal(status, 1, stderr)
  assert.match(stderr, /HC_SHARD_AWAITED: \d+ log entries of shard 1 are not in Postgres yet/)
  goOn()
  await redeemAll(codes)
})

test('killed while it is closed, it leaves a shard that the server admits again', async (t) => {
  const goOn = stopPersister(t)
  const codes = await holdSome(2)
  const to = await otherMaster()
  const run = move(t, to)
  await eventually(() => /draining/.test(run.said()))
  process.kill(run.pid, 'SIGKILL')
  await run.ended
  await untilSold('the shard where it was')
  goOn()
  await assertMoved(t, to)
  await redeemAll(codes)
  await assertAudited()
})

/** The move by itself, as far as an attempt may have come that was killed there. */
async function slotMove(t: TestContext, to: ClusterProcess) {
  const from = await nodes.masterOf(moved)
  const members = await Promise.all(
    [from, to].map(({ port }) => {
      const address = { host: '127.0.0.1', port }
      return Member.open({ name: `port ${port}`, address }, nodes.admin)
    }),
  )
  t.after(() => {
    for (const member of members) member.close()
  })
  const [old, next] = members as [Member, Member]
  return {
    from: old,
    to: next,
    move: new SlotMove({ shard: moved, from: old, to: next, sender: old, masters: [], account: nodes.admin }),
  }
}

test('broken off after any step, it is finished by the next run', async (t) => {
  const codes = await holdSome(5)
  const { log, sales, prefix } = shardKeys(moved)
  const steps: Readonly<Record<string, (parts: Awaited<ReturnType<typeof slotMove>>) => Promise<unknown>>> = {
    'the new master expects the slot': ({ from, to }) => to.call('SETSLOT', slotOfShard(moved), 'IMPORTING', from.id),
    'the slot is on its way': (parts) => parts.move.begin(),
    'the log has moved': async (parts) => {
      await parts.move.begin()
      await parts.move.moveKey(log)
    },
    'all but the list of sales has moved': async (parts) => {
      await parts.move.begin()
      const keys = (await parts.from.call('GETKEYSINSLOT', slotOfShard(moved), 100)) as string[]
      for (const key of keys) if (key !== sales) await parts.move.moveKey(key)
    },
    'all keys have moved': async (parts) => {
      await parts.move.begin()
      await parts.move.moveKeys(() => undefined)
    },
    'the new master alone knows': async (parts) => {
      await parts.move.begin()
      await parts.move.moveKeys(() => undefined)
      await parts.to.call('SETSLOT', slotOfShard(moved), 'NODE', parts.to.id)
    },
    'a move long before has left something there': async ({ from, to }) => {
      await to.call('SETSLOT', slotOfShard(moved), 'IMPORTING', from.id)
      await to.run('ASKING')
      await to.run('HSET', `${prefix}sale:1:items`, '1', 'stale')
    },
  }
  for (const [name, step] of Object.entries(steps)) {
    await untilDrained(t)
    const to = await otherMaster()
    await step(await slotMove(t, to))
    const said = await assertMoved(t, to)
    t.diagnostic(`${name}: ${said.split('\n').at(-2)}`)
    await untilSold(`a hold after: ${name}`)
  }
  await redeemAll(codes)
  await assertAudited()
})

/** A restart may last longer than a replica waits for its master. */
async function whileNobodyTakesOver(act: () => Promise<void>): Promise<void> {
  await letNobodyTakeOver('yes')
  try {
    await act()
  } finally {
    await letNobodyTakeOver('no')
  }
}

async function letNobodyTakeOver(value: 'yes' | 'no'): Promise<void> {
  for (const node of nodes.nodes) {
    const redis = await nodes.open(node)
    await redis.config('SET', 'cluster-replica-no-failover', value)
    redis.disconnect()
  }
}

/** A move begins only where each shard decides. */
async function untilAllDecide(): Promise<void> {
  await eventually(allDecide, { what: 'all shards' })
}

async function allDecide(): Promise<boolean> {
  const { json } = await server.http.get('/readyz')
  return (json?.['checks'] as { shards?: { status: string } } | undefined)?.shards?.status === 'complete'
}

test('killed while a key is on its way, and with the old master restarted, it goes on', async (t) => {
  const codes = await holdSome(5)
  const to = await otherMaster()
  const from = await nodes.masterOf(moved)
  // Ready for it, and it answers no more before the first key comes.
  const parts = await slotMove(t, to)
  await parts.move.begin()
  await parts.move.moveKey(shardKeys(moved).log)
  const run = move(t, to)
  await eventually(() => /going on: \d+ keys/.test(run.said()) || /admitted/.test(run.said()))
  process.kill(run.pid, 'SIGKILL')
  await run.ended
  await whileNobodyTakesOver(async () => {
    await from.kill()
    await from.start()
    await assertMoved(t, to)
  })
  await redeemAll(codes)
  await assertAudited()
})

test('an old master whose replica takes over in the middle of a move loses nothing, and the next run moves it', async (t) => {
  const codes = await holdSome(5)
  const to = await otherMaster()
  const from = await nodes.masterOf(moved)
  const { log } = shardKeys(moved)
  await untilDrained(t)
  const parts = await slotMove(t, to)
  await parts.move.begin()
  await parts.move.moveKey(log)
  await parts.move.moveKey(shardKeys(moved).items(sale))
  await from.kill()
  await eventually(async () => (await nodes.masterOf(moved)).id !== from.id, { what: 'a replica in its place' })
  // It has half of the shard, and doesn't know of the move: without its log it is rebuilt.
  await untilSold('the shard to be rebuilt')
  await from.start()
  await untilAllDecide()
  await assertMoved(t, to)
  await redeemAll(codes)
  await assertAudited()
})

test('a slot that was given away by hand without the items is fenced off by the first batch, and rebuilt', async (t) => {
  const heldItem = newItem()
  const codes = [await hold(server, 'ann', heldItem)]
  const { items: itemsKey } = shardKeys(moved)
  const to = await otherMaster()
  await untilDrained(t)
  const parts = await slotMove(t, to)
  await parts.move.begin()
  const keys = (await parts.from.call('GETKEYSINSLOT', slotOfShard(moved), 100)) as string[]
  assert.ok(keys.includes(itemsKey(sale)))
  for (const key of keys) if (key !== itemsKey(sale)) await parts.move.moveKey(key)
  await parts.to.call('SETSLOT', slotOfShard(moved), 'NODE', parts.to.id)

  // An item that somebody holds: without the rest of the sale it would be sold again.
  const taken = () => checkout(server, 'zoe', heldItem)
  const reply = await eventually(async () => {
    const answer = await taken()
    return answer.status === 503 ? undefined : answer
  })
  assertProblem(reply, 409, 'item_held')
  await eventually(() => server.logLines().some((line) => /live sales were rebuilt/.test(line)))
  await redeemAll(codes)
})

test('it is said what is in the way, and nothing is done; then an empty node is introduced and gets the shard', async (t) => {
  const codes = await holdSome(5)
  const node = await nodes.addNode()
  const admin = await nodes.open(node)
  t.after(() => admin.disconnect())
  const refused = async (target: Pick<ClusterProcess, 'port'>, words: RegExp, env: Record<string, string> = {}) => {
    const { status, stderr } = await startMove(t, {
      env: { ...server.env, ...env },
      cluster: nodes,
      shard: moved,
      to: target,
      args: ['--wait-seconds', '1'],
    }).ended
    assert.deepEqual([status, words.test(stderr)], [1, true], stderr)
    assert.doesNotMatch(stderr, /is closed/)
  }
  const replicas = await Promise.all(nodes.nodes.map(isReplica))
  await refused(
    nodes.nodes[replicas.indexOf(true)] ?? assert.fail(),
    /HC_REDIS_CLUSTER: \S+ is a replica: name a master/,
  )
  await refused({ port: 1 }, /HC_REDIS_UNAVAILABLE: 127\.0\.0\.1:1: /)
  await refused(node, /HC_REDIS_CLUSTER: REDIS_CLUSTER is not set/, { REDIS_CLUSTER: '', REDIS_HOST: '127.0.0.1' })
  await admin.call('CLUSTER', 'ADDSLOTS', slotOfShard(7))
  await eventually(async () => /cluster_state:ok/.test(String(await admin.call('CLUSTER', 'INFO'))))
  await admin.set(`${shardKeys(7).prefix}x`, 'x')
  await refused(node, /HC_REDIS_CLUSTER: \S+ is in no cluster and has 1 keys/)
  await admin.flushall()
  await admin.call('CLUSTER', 'DELSLOTS', slotOfShard(7))

  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await refused(node, /HC_REDIS_UNSUITABLE: \S+ may lose what it acknowledges: maxmemory-policy/)
  await admin.config('SET', 'maxmemory-policy', 'noeviction')
  const acl = (await admin.call('ACL', 'LIST')) as string[]
  const service = acl.find((line) => line.startsWith('user hotcakes ')) ?? assert.fail()
  await admin.call('ACL', 'DELUSER', 'hotcakes')
  await refused(node, /HC_REDIS_CLUSTER: \S+ doesn't have the users hotcakes of/)
  const [, name = '', ...rules] = service.split(' ')
  await admin.call('ACL', 'SETUSER', name, ...rules)
  const memory = Number(/^used_memory:(\d+)/m.exec(await admin.info('memory'))?.[1])
  await admin.config('SET', 'maxmemory', String(memory))
  await refused(node, /HC_REDIS_CLUSTER: \S+ has \d+\.\d MB free/)
  await admin.config('SET', 'maxmemory', '0')

  await assertMoved(t, node)
  await redeemAll(codes)
  await assertAudited()
})

async function isReplica(node: ClusterProcess): Promise<boolean> {
  const redis = await nodes.open(node)
  try {
    return /role:slave/.test(await redis.info('replication'))
  } finally {
    redis.disconnect()
  }
}

test('the rights of hotcakes_move are enough, and without one of them nothing is done', async (t) => {
  const line = readFileSync('ops/deploy/redis/move-user.acl', 'utf8').split('\n')
  const [, name = '', ...rules] = (line.find((each) => each.startsWith('user hotcakes_move ')) ?? '').split(' ')
  const withPassword = rules.map((rule) => (rule.startsWith('#') ? '>of-the-mover' : rule))
  const mover = { admin: { ...nodes.admin, user: name, password: 'of-the-mover' } }
  const to = await nodes.masterOf(2)
  const admins = await Promise.all(nodes.nodes.map((node) => nodes.open(node)))
  t.after(() => {
    for (const each of admins) each.disconnect()
  })
  for (const each of admins) await each.call('ACL', 'SETUSER', name, ...withPassword)
  const run = async () => await startMove(t, { env: server.env, cluster: mover, shard: moved, to }).ended

  for (const right of ['migrate', 'restore-asking', 'select', 'memory|usage', 'cluster|setslot']) {
    for (const each of admins) await each.call('ACL', 'SETUSER', name, `-${right}`)
    const { status, stderr } = await run()
    assert.deepEqual([status, /HC_REDIS_REFUSED/.test(stderr)], [1, true], `${right}: ${stderr}`)
    assert.doesNotMatch(stderr, /is closed/)
    for (const each of admins) await each.call('ACL', 'SETUSER', name, `+${right}`)
  }
  const { status, stderr } = await run()
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stderr, /of-the-mover/)
  await untilSold('the shard, moved by hotcakes_move')
})

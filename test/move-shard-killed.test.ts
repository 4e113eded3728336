// Goal: a move that is killed while a key is on its way between two masters is finished by the next run, with all holds.
// Method: the command on a real cluster with a real server. The new master keeps its writes back, so that the old one is in the
// midst of its MIGRATE for as long as a test needs.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import { slotOfShard } from '../core/redis/cluster-slot.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { eventually } from './helpers/eventually.ts'
import { moved, startMovingShop } from './helpers/moving-shop.ts'
import type { ClusterProcess } from './helpers/redis-cluster.ts'

const shop = await startMovingShop({ after })
const { nodes, move, assertMoved, holdSome, redeemAll, assertAudited, stopPersister, otherMaster } = shop

const isOnItsWay = / cmd=restore-asking /

/** The new master takes a key and does not say so yet: the old one waits for that, in the midst of its MIGRATE. */
async function startWithoutAnswer(t: TestContext, to: ClusterProcess) {
  const goOn = stopPersister(t)
  const codes = await holdSome(5)
  const admin = await nodes.open(to)
  t.after(() => admin.disconnect())
  const run = move(t, to)
  await eventually(() => /draining: \d+ log entries/.test(run.said()), { what: 'the wait for Postgres' })
  await admin.call('CLIENT', 'PAUSE', 60_000, 'WRITE')
  goOn()
  return { codes, admin, run }
}

async function killedInMigrate(t: TestContext, to: ClusterProcess, killed: () => void = () => undefined) {
  const { codes, admin, run } = await startWithoutAnswer(t, to)
  const comes = async () => isOnItsWay.test(String(await admin.call('CLIENT', 'LIST')))
  await eventually(comes, { what: 'a key on its way' })
  process.kill(run.pid, 'SIGKILL')
  await run.ended
  killed()
  await admin.call('CLIENT', 'UNPAUSE')
  const isThere = async () => Number(await admin.call('CLUSTER', 'COUNTKEYSINSLOT', slotOfShard(moved))) === 1
  await eventually(isThere, { what: 'the key at the new master' })
  return codes
}

test('killed in the midst of a MIGRATE that goes through, it goes on', async (t) => {
  const to = await otherMaster()
  const codes = await killedInMigrate(t, to)
  assert.match(await assertMoved(t, to), /going on: \d+ keys of shard 1/)
  await redeemAll(codes)
  await assertAudited()
})

test('killed in the midst of a MIGRATE together with the old master, which does not know that the key is there, it goes on', async (t) => {
  const to = await otherMaster()
  const from = await nodes.masterOf(moved)
  // It doesn't read the answer any more.
  const codes = await killedInMigrate(t, to, () => from.pause())
  await from.kill()
  await from.start()
  const atOld = await nodes.open(from)
  t.after(() => atOld.disconnect())
  const keys = await atOld.call('CLUSTER', 'GETKEYSINSLOT', slotOfShard(moved), 100)
  assert.ok((keys as string[]).includes(shardKeys(moved).log), 'it is at both')
  await assertMoved(t, to)
  await redeemAll(codes)
  await assertAudited()
})

test('a new master that is silent for longer than a key may take is sent it again', async (t) => {
  const to = await otherMaster()
  const { codes, admin, run } = await startWithoutAnswer(t, to)
  const senders = new Set<string>()
  const comesAgain = async () => {
    const clients = String(await admin.call('CLIENT', 'LIST')).split('\n')
    for (const client of clients) if (isOnItsWay.test(client)) senders.add(client.split(' ')[0] ?? '')
    return senders.size > 1
  }
  await eventually(comesAgain, { what: 'the key on its way for the second time' })
  await admin.call('CLIENT', 'UNPAUSE')
  const { status, stderr } = await run.ended
  assert.equal(status, 0, stderr)
  await redeemAll(codes)
  await assertAudited()
})

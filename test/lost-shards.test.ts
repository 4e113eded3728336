// Goal: where two shards have forgotten together how a right went through them to a third, and one of them was declared lost, the
// other does not grant the right again, whichever comes back first; nor does one that needs it for a hold that is over.
// Method: three shards in one Redis with their record, without a server. Nothing of the first two is drained.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

import { afterNonce, lendNonce } from '../core/decisions.ts'
import type { Admission } from '../core/recovery/admission.ts'
import { declareLost } from '../core/recovery/declare-lost.ts'
import { homeShard } from '../core/rights.ts'
import { assertRightsHold, type Installation, rightsOf, startInstallation } from './helpers/installation.ts'
import { startPostgres } from './helpers/services.ts'
import { restoreShard, saveShard } from './helpers/shard-data.ts'
import type { SpreadSale } from './helpers/spread-sale.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const shards = 3
const [home, between, end] = [0, 1, 2]
const { connection: db } = await startPostgres({ after })
const user = Array.from({ length: 50 }, (_, n) => `user-${n}`).find((name) => homeShard(name, shards) === home) ?? ''
const ask = { may: 'ask' } as const

async function lend(sale: SpreadSale, from: number, to: number, nonce: string): Promise<string> {
  const [asked] = await sale.decide(from, [{ index: String(to), nonce, user }])
  assert.equal(asked?.reply, 'lent')
  return afterNonce([{ from, epoch: asked.epoch, total: asked.lent[to] ?? 0 }])
}

/** The user's only right went from home over the second shard to the third, which alone remembers. */
async function startForgotten(t: TestContext): Promise<{ installation: Installation; sale: SpreadSale }> {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open({ userLimit: 1 })
  await installation.drain()
  const before = await Promise.all([home, between].map((shard) => saveShard(installation.admin, shard)))
  const receipt = await lend(sale, home, between, lendNonce)
  const next = await lend(sale, between, end, `${lendNonce}${receipt}`)
  const nonce = `${'n'.repeat(16)}${next}`
  const [held] = await sale.decide(end, [{ index: String(sale.nextItem(end)), nonce, user }])
  assert.equal(held?.reply, 'held')
  for (const shard of [home, between]) await restoreShard(installation.admin, shard, before[shard] ?? assert.fail())
  return { installation, sale }
}

function kinds(admissions: readonly Admission[] | 'busy'): string[] {
  assert.ok(admissions !== 'busy')
  return admissions.map(({ kind }) => kind)
}

async function assertNothingIsFree(installation: Installation, sale: SpreadSale): Promise<void> {
  await assertRightsHold(sale, user)
  for (const shard of [home, between]) {
    const { reply } = await sale.checkOut(user, sale.nextItem(shard))
    assert.equal(reply, 'user_limit_reached', `shard ${shard}`)
  }
  await installation.drain()
}

test('a shard that comes back before one that was declared lost keeps for it what that one passed on', async (t) => {
  const { installation, sale } = await startForgotten(t)
  assert.equal(await declareLost(installation.database, between), 'declared')
  assert.deepEqual(kinds(await installation.admit({ [between]: ask })), ['admitted', 'declared_lost', 'unneeded'])
  const [first] = await rightsOf(sale, user)
  assert.deepEqual([first?.rights, first?.lent], [0, [0, 1, 0]])
  assert.deepEqual(kinds(await installation.admit()), ['unneeded', 'rebuilt', 'unneeded'])
  await assertNothingIsFree(installation, sale)
})

test('a shard that has passed on what it got from one that is declared lost keeps that in mind for it', async (t) => {
  const { installation, sale } = await startForgotten(t)
  for (const shard of [home, between]) assert.equal(await declareLost(installation.database, shard), 'declared')
  assert.deepEqual(kinds(await installation.admit({ [home]: ask })), ['declared_lost', 'rebuilt', 'unneeded'])
  assert.deepEqual((await rightsOf(sale, user))[between], { used: 0, rights: 0, lent: [0, 0, 1], got: [1, 0, 0] })
  assert.deepEqual(kinds(await installation.admit()), ['rebuilt', 'unneeded', 'unneeded'])
  await assertNothingIsFree(installation, sale)
})

test('a hold that a clock has brought to life counts as no right of a shard that is declared lost', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open({ userLimit: 1 })
  const [first, second] = [sale.nextItem(between), sale.nextItem(home)]
  const expired = await sale.checkOut(user, first)
  await installation.drain()
  const before = await saveShard(installation.admin, between)
  const clock = await stepRedisClock(installation.admin)
  await clock.set(sale.terms.holdMs + 1_000)
  const held = await sale.checkOut(user, second)
  assert.deepEqual([expired.reply, held.reply], ['held', 'held'])
  await restoreShard(installation.admin, between, before)
  await clock.set(0)
  assert.equal(await declareLost(installation.database, end), 'declared')
  assert.deepEqual(kinds(await installation.admit({ [end]: ask })), ['unneeded', 'admitted', 'declared_lost'])
  await assertRightsHold(sale, user)
  assert.equal(await sale.purchase(first, expired.nonce), 'code_expired')
  assert.equal(await sale.purchase(second, held.nonce), 'purchased')
  assert.deepEqual(kinds(await installation.admit()), ['unneeded', 'unneeded', 'rebuilt'])
  assert.deepEqual((await rightsOf(sale, user))[end], { used: 0, rights: 0, lent: [0, 0, 0], got: [0, 0, 0] })
  await assertRightsHold(sale, user)
  await installation.drain()
})

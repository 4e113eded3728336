// Goal: a run of Redis decides only once Postgres names it, in an epoch of its own, whatever is cut short on the way; and a
// shard that has forgotten a right that it lent gets to know of it before it decides again.
// Method: three shards in one real Redis with their record. A shard is put back to what it had before, or loses everything;
// the admission dies at each of its steps.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { lendNonce } from '../core/decisions.ts'
import type { Fault } from '../core/faults.ts'
import { type Admission, admissionSteps } from '../core/recovery/admission.ts'
import { declareLost } from '../core/recovery/declare-lost.ts'
import { noRun } from '../core/recovery/record-head.ts'
import { homeShard } from '../core/rights.ts'
import { shardNumbers } from '../core/shards.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { eventually } from './helpers/eventually.ts'
import { assertRightsHold, type Installation, rightsOf, startInstallation } from './helpers/installation.ts'
import { servicesEnv, startPostgres } from './helpers/services.ts'
import { dropShard, forgetRun, restoreShard, saveShard } from './helpers/shard-data.ts'
import { sellSpread } from './helpers/spread-sale.ts'

const { connection: db } = await startPostgres({ after })
const shards = 3
const numbers = shardNumbers(shards)

function kinds(admissions: readonly Admission[] | 'busy'): readonly string[] | 'busy' {
  return admissions === 'busy' ? 'busy' : admissions.map(({ kind }) => kind)
}

interface Named {
  readonly shard: number
  readonly epoch: number
  readonly after: string | null
}

function epochsOf({ postgres }: Installation, shard: number): Named[] {
  return postgres.query<Named>(
    `select shard, epoch::int, after_epoch || '-' || after_seq as after from log_epochs where shard = $1 order by epoch`,
    [shard],
  )
}

/** Redis and Postgres name the same run for every shard, in the newest epoch, and it decides. */
async function assertDeciding(installation: Installation): Promise<void> {
  for (const store of installation.stores) {
    const { epoch, admittedRun } = await store.logState()
    const named = installation.postgres.query('select run from log_offsets where shard = $1', [store.shard])
    assert.deepEqual([admittedRun, named], [store.run, [{ run: store.run }]], `shard ${store.shard}`)
    assert.equal(epochsOf(installation, store.shard).at(-1)?.epoch, epoch)
  }
}

/** A user whose home is that shard, so that one right of a limit of one is there. */
function userAt(home: number, n = 0): string {
  let found = 0
  for (let at = 0; ; at++) {
    if (homeShard(`user-${at}`, shards) === home && found++ === n) return `user-${at}`
  }
}

test('the shards of a new record begin together, and one that is asked again is left alone', async (t) => {
  const installation = await startInstallation(t, db, shards)
  assert.deepEqual(kinds(await installation.admit()), ['begun', 'begun', 'begun'])
  await assertDeciding(installation)
  assert.deepEqual(kinds(await installation.admit()), ['unneeded', 'unneeded', 'unneeded'])
  for (const shard of numbers) assert.deepEqual(epochsOf(installation, shard), [{ shard, epoch: 1, after: '0-0' }])
})

test('a Redis that restarts as a whole is admitted at once, and nothing is missing between its epochs', async (t) => {
  const installation = await startInstallation(t, db, shards)
  const { redis, postgres } = installation
  await installation.admit()
  const sale = await installation.open()
  await sellSpread(sale, ['ann', 'bob'])
  const ends = await Promise.all(installation.stores.map(async (store) => (await store.logState()).last))
  await redis.stop()
  await redis.start()
  assert.deepEqual(kinds(await installation.admit()), ['admitted', 'admitted', 'admitted'])
  await assertDeciding(installation)
  for (const shard of numbers) {
    const end = `${ends[shard]?.epoch}-${ends[shard]?.seq}`
    assert.deepEqual(epochsOf(installation, shard).at(-1), { shard, epoch: 2, after: end })
  }
  await redis.stop()
  await redis.start()
  await installation.admit()
  assert.deepEqual(
    epochsOf(installation, 0).at(-1)?.after,
    epochsOf(installation, 0).at(-2)?.after,
    'nothing came in between',
  )

  await sellSpread(sale, ['cid'])
  await installation.drain()
  const offsets = postgres.query('select epoch::int, seq::int from log_offsets order by shard')
  assert.deepEqual(offsets, await Promise.all(installation.stores.map(async (store) => (await store.logState()).last)))
  for (const user of ['ann', 'bob', 'cid']) await assertRightsHold(sale, user)
})

test('a shard that has forgotten a right that it lent does not grant it', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open({ userLimit: 1 })
  const user = userAt(0)
  await installation.drain()
  const before = await saveShard(installation.admin, 0)
  const bought = await sale.checkOut(user, sale.nextItem(1))
  assert.equal(bought.reply, 'held', 'with the right of shard 0')
  await restoreShard(installation.admin, 0, before)

  assert.deepEqual(kinds(await installation.admit()), ['admitted', 'unneeded', 'unneeded'])
  assert.deepEqual(
    (await rightsOf(sale, user)).map(({ rights }) => rights),
    [0, 1, 0],
  )
  assert.equal((await sale.checkOut(user, sale.nextItem(0))).reply, 'user_limit_reached')
  await assertRightsHold(sale, user)
})

test('a shard that has forgotten a right that it got has it back once the lender is drained', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open({ userLimit: 1 })
  const user = userAt(0)
  await installation.drain()
  const before = await saveShard(installation.admin, 1)
  await sale.checkOut(user, sale.nextItem(1))
  await restoreShard(installation.admin, 1, before)

  // Were it granted now and drained, and the lender lost, nobody would know of the right that was lent.
  // On a busy machine it gives up before the drain, as in the next test: then it is asked again, as a server does.
  const admitting = installation.admit().catch((fault: Fault) => assert.equal(fault.code, 'HC_SHARD_AWAITED'))
  await eventually(() => epochsOf(installation, 1).length === 2, { what: 'the first transaction' })
  assert.notEqual((await installation.stores[1]?.logState())?.admittedRun, installation.stores[1]?.run)
  await installation.drain()
  assert.deepEqual(kinds((await admitting) ?? (await installation.admit())), ['unneeded', 'admitted', 'unneeded'])
  assert.deepEqual(
    (await rightsOf(sale, user)).map(({ rights }) => rights),
    [0, 1, 0],
  )
  assert.equal((await sale.checkOut(user, sale.nextItem(1))).reply, 'held')
  assert.equal((await sale.checkOut(user, sale.nextItem(2))).reply, 'user_limit_reached')
})

test('as long as nobody drains the lender, the shard waits', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open({ userLimit: 1 })
  await installation.drain()
  const before = await saveShard(installation.admin, 1)
  await sale.checkOut(userAt(0), sale.nextItem(1))
  await restoreShard(installation.admin, 1, before)
  await assert.rejects(installation.admit(), { code: 'HC_SHARD_AWAITED', message: /shard 0 .*up to 1-2 first.* 1-1/ })
  assert.deepEqual(
    (await rightsOf(sale, userAt(0))).map(({ rights }) => rights),
    [0, 0, 0],
  )
})

test('what a shard says that is from before its epoch is not believed any more', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  const sale = await installation.open({ userLimit: 1 })
  const user = userAt(0)
  const [lent] = await sale.decide(0, [{ index: '1', nonce: lendNonce, user }])
  assert.deepEqual([lent?.reply, lent?.epoch], ['lent', 1])
  await forgetRun(installation.admin, 0)
  await installation.admit()
  // The right arrived with the admission of its lender; a receipt of the time before is not even needed.
  const item = sale.nextItem(1)
  const receipt = `${'A'.repeat(16)};0,1,1`
  const [late] = await sale.decide(1, [{ index: String(item), nonce: receipt, user }])
  assert.equal(late?.reply, 'rights_elsewhere', 'the epoch 1 of shard 0 counts no more')
  const [again] = await sale.decide(0, [{ index: '1', nonce: lendNonce, user }])
  assert.deepEqual([again?.reply, again?.epoch, again?.lent[1]], ['not_lent', 2, 1])
  assert.equal(
    (await sale.decide(1, [{ index: String(item), nonce: `${'A'.repeat(16)};0,2,1`, user }]))[0]?.reply,
    'held',
  )
})

test('a sale that a shard has forgotten is listed again with its rights before it decides', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  await installation.drain()
  const before = await Promise.all(numbers.map((shard) => saveShard(installation.admin, shard)))
  const sale = await installation.open({ userLimit: 1 })
  await installation.drain()
  await sale.checkOut(userAt(2), sale.nextItem(1))
  // As if Postgres had not got that far: what is committed would make it a loss.
  installation.postgres.query('update log_offsets set epoch = 1, seq = 0 where shard = 2')
  await restoreShard(installation.admin, 2, before[2] ?? [])
  assert.deepEqual(kinds(await installation.admit()), ['unneeded', 'unneeded', 'admitted'])
  const [first, , third] = installation.stores
  assert.deepEqual(await third?.listSales(), await first?.listSales())
  assert.deepEqual((await rightsOf(sale, userAt(2)))[2]?.lent, [0, 1, 0])
})

test('what two shards have forgotten together that moved between them they settle, and the audit understands it', async (t) => {
  const installation = await startInstallation(t, db, shards)
  const { admin } = installation
  await installation.admit()
  const sale = await installation.open({ userLimit: 2 })
  const user = userAt(0)
  const item = sale.nextItem(0)
  const { nonce } = await sale.checkOut(user, item)
  await sale.purchase(item, nonce)
  await installation.drain()
  const before = await Promise.all([saveShard(admin, 0), saveShard(admin, 1)])

  // The right of shard 1 moves to shard 0, and on to shard 2, where it is used.
  await sale.decide(1, [{ index: '0', nonce: lendNonce, user }])
  const [passed] = await sale.decide(0, [{ index: '2', nonce: `${lendNonce};1,1,1`, user }])
  assert.equal(passed?.reply, 'lent')
  const nonceAfter = `${'A'.repeat(16)};0,1,1`
  const [held] = await sale.decide(2, [{ index: String(sale.nextItem(2)), nonce: nonceAfter, user }])
  assert.equal(held?.reply, 'held')

  for (const [shard, data] of before.entries()) await restoreShard(admin, shard, data)
  assert.deepEqual(kinds(await installation.admit()), ['admitted', 'admitted', 'unneeded'])
  await assertRightsHold(sale, user)
  assert.deepEqual(
    (await rightsOf(sale, user)).map(({ used, rights }) => [used, rights]),
    [
      [1, 1],
      [0, 0],
      [1, 1],
    ],
  )
  assert.equal((await sale.checkOut(user, sale.nextItem(1))).reply, 'user_limit_reached')
  await installation.drain()
  const report = await runAuditJson(servicesEnv({ db, redis: installation.redis.connection }))
  // That shard 0 lent a right to shard 2 is in no log any more: it has begun another epoch since.
  assert.deepEqual(breachesIn(report), {})
  assert.deepEqual(report.not_checked, [])

  // Had it begun no other one, or long before, the row would be missing.
  installation.postgres.query("update log_epochs set begun_at = now() - interval '1 hour' where shard = 0")
  const later = await runAuditJson(servicesEnv({ db, redis: installation.redis.connection }))
  assert.deepEqual(Object.keys(breachesIn(later)), ['right_not_lent'])
})

for (const step of admissionSteps) {
  test(`an admission that dies at the step ${step} leaves nobody deciding who was not named, and the next one goes on`, async (t) => {
    const installation = await startInstallation(t, db, shards)
    await installation.admit()
    const sale = await installation.open()
    await sellSpread(sale, ['ann', 'bob', 'cid'])
    await installation.drain()
    const isRebuilt = step === 'rebuilt'
    if (isRebuilt) await dropShard(installation.admin, 1)
    else if (step === 'withdrawn')
      installation.postgres.query(`update log_offsets set run = 'of another' where shard = 1`)
    else await forgetRun(installation.admin, 1)

    const dying = installation.admit(
      {},
      {
        reached: (reachedStep) => {
          if (reachedStep === step) throw new Error(`died at ${step}`)
        },
      },
    )
    await assert.rejects(dying, { message: `died at ${step}` })
    const [, store] = installation.stores
    const { admittedRun } = (await store?.logState()) ?? {}
    const [named] = installation.postgres.query<{ run: string }>('select run from log_offsets where shard = 1')
    assert.ok(admittedRun !== store?.run || named?.run === store?.run, 'whoever decides is named')

    const admissions = kinds(await installation.admit())
    assert.equal(admissions[1], step === 'admitted' ? 'unneeded' : isRebuilt ? 'rebuilt' : 'admitted')
    await assertDeciding(installation)
    await sellSpread(sale, ['dan', 'eve', 'fay'])
    await installation.drain()
    for (const user of ['ann', 'bob', 'cid', 'dan', 'eve', 'fay']) await assertRightsHold(sale, user)
  })
}

test('of two that try at once one does it all', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  for (const shard of numbers) await forgetRun(installation.admin, shard)
  const { postgres } = installation
  // Until the other one has been turned away, the one that is at it waits for the rows.
  postgres.query('begin; select from log_offsets for update')
  const both = [installation.admit(), installation.admit()]
  assert.equal(await Promise.race(both), 'busy')
  postgres.query('rollback')
  const done = (await Promise.all(both)).find((each) => each !== 'busy')
  assert.deepEqual(kinds(done ?? 'busy'), ['admitted', 'admitted', 'admitted'])
  for (const shard of numbers) assert.equal(epochsOf(installation, shard).at(-1)?.epoch, 2)
  await assertDeciding(installation)
})

test('a run that a server of 0.1.0 lets decide meanwhile is not admitted behind the end that Postgres was told', async (t) => {
  const installation = await startInstallation(t, db, 1)
  await installation.admit()
  const [store] = installation.stores
  assert.ok(store)
  const sale = await installation.open()
  await forgetRun(installation.admin, 0)
  const reached = async (): Promise<string> => {
    const { epoch = 0, recordId = '' } = await store.logState()
    const asked = store.admit({ run: store.run, epoch, recordId })
    const refused = await asked.then(
      () => undefined,
      ({ code }: Fault) => code,
    )
    if (refused === undefined) await sale.checkOut('ann', sale.nextItem(0))
    return refused ?? 'decided'
  }
  let admitting = Promise.resolve('not asked')
  const onStep = (step: string): void => {
    if (step === 'named') admitting = reached()
  }
  const dying = installation.admit({}, { reached: onStep })
  // Which of the two comes first is open. If ours does, 0.1.0 is refused, or what it decides is of the new epoch.
  const [ours] = await Promise.allSettled([dying])
  const theirs = await admitting
  const unsound = 'HC_RECORD_UNSOUND'
  if (ours.status === 'rejected') assert.deepEqual([(ours.reason as Fault).code, theirs], [unsound, 'decided'])
  else {
    assert.ok([unsound, 'decided'].includes(theirs), theirs)
    assert.deepEqual((await store.logState()).last, { epoch: 2, seq: theirs === 'decided' ? 1 : 0 })
  }
  await installation.admit()
  await assertDeciding(installation)
  await sale.checkOut('bob', sale.nextItem(0))
  await installation.drain()
  const { last } = await store.logState()
  assert.deepEqual(installation.postgres.query('select epoch::int, seq::int from log_offsets'), [last])
})

test('a shard waits for another one that cannot be asked, and says so; declared lost, that one is asked on record', async (t) => {
  const installation = await startInstallation(t, db, shards)
  const { postgres } = installation
  await installation.admit()
  const sale = await installation.open({ userLimit: 1 })
  const user = userAt(0)
  await installation.drain()
  const before = await saveShard(installation.admin, 0)
  await sale.checkOut(user, sale.nextItem(2))
  await installation.drain()
  // Shard 0 lacks what is drained, but Postgres was not told: it is whole, and has forgotten what it lent.
  postgres.query('update log_offsets set seq = 1 where shard = 0')
  await restoreShard(installation.admin, 0, before)
  await forgetRun(installation.admin, 2)

  const [waits, deciding, out] = (await installation.admit({ 2: { may: 'ask' } })) as Admission[]
  assert.deepEqual([waits?.kind, deciding?.kind, out?.kind], ['waits', 'unneeded', 'out'])
  assert.ok(waits?.kind === 'waits')
  assert.equal(waits.fault.code, 'HC_SHARD_AWAITED')
  assert.match(waits.fault.message, /shard 2 \(this run of Redis was not compared/)
  assert.equal(epochsOf(installation, 0).length, 1, 'nothing was begun')

  assert.equal(await declareLost(installation.database, 2), 'declared')
  assert.deepEqual(postgres.query('select epoch::int, seq::int, run from log_offsets where shard = 2'), [
    { epoch: 2, seq: 0, run: noRun },
  ])
  assert.deepEqual(kinds(await installation.admit({ 2: { may: 'ask' } })), ['admitted', 'unneeded', 'declared_lost'])
  assert.deepEqual((await rightsOf(sale, user))[0], { used: 0, rights: 0, lent: [0, 0, 1], got: [0, 0, 0] })
  // It comes back by a rebuild, also with all of its data.
  assert.deepEqual(kinds(await installation.admit({ 2: { may: 'admit' } })), ['unneeded', 'unneeded', 'declared_lost'])
  assert.deepEqual(kinds(await installation.admit()), ['unneeded', 'unneeded', 'rebuilt'])
  assert.equal(epochsOf(installation, 2).at(-1)?.epoch, 3)
  await assertDeciding(installation)
  await assertRightsHold(sale, user)
  assert.deepEqual(
    (await rightsOf(sale, user)).map(({ used }) => used),
    [0, 0, 1],
  )
})

test('a master in whose place another was admitted decides no more, unless a person says so', async (t) => {
  const installation = await startInstallation(t, db, 1)
  const { postgres, stores } = installation
  await installation.admit()
  postgres.query(
    `insert into log_epochs (shard, epoch, run, after_epoch, after_seq) values (0, 2, 'another', 1, 0);
     update log_offsets set run = 'another'`,
  )
  const [out] = (await installation.admit()) as Admission[]
  assert.ok(out?.kind === 'out')
  assert.equal(out.fault.code, 'HC_RUN_REPLACED')
  assert.match(out.fault.message, /another run of Redis \(another\) .* in epoch 2/)
  assert.deepEqual(kinds(await installation.admit({ 0: { evenReplaced: true } })), ['admitted'])
  assert.equal((await stores[0]?.logState())?.epoch, 3)
  await assertDeciding(installation)
})

test('data that were exchanged below the same run get an epoch of their own', async (t) => {
  const installation = await startInstallation(t, db, shards)
  await installation.admit()
  assert.deepEqual(kinds(await installation.admit({ 1: { isExchanged: true } })), ['unneeded', 'admitted', 'unneeded'])
  assert.equal(epochsOf(installation, 1).at(-1)?.epoch, 2)
  await assertDeciding(installation)
})

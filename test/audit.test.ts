import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import type { Postgres } from '../core/postgres/connection.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { breachesIn, runAudit, runAuditJson } from './helpers/audit.ts'
import { auditHere } from './helpers/audit-here.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { commandTimeoutMs, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { openShop, Shop, sellSome } from './helpers/shop.ts'

// What the audit says of a record that is right, complete or not. audit-breaches.test.ts has the others. Where only what it
// finds is looked at, it runs in this process.

const { connection: db } = await startPostgres({ after })

/** An empty Redis and an empty record, with a shop that has opened. */
async function start(t: TestContext) {
  const { connection: redis } = await startRedis(t)
  const postgres = newRecord(t, db)
  const store = new SaleStore(redis, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  const shop = await openShop(store)
  const drain = async () => assert.deepEqual(await (await startPersister(t, { db, redis })).drain(), drained)
  return { redis, postgres, store, shop, drain, env: servicesEnv({ db, redis }) }
}

/** Lets the time come at which Redis drops the sale. */
async function expire({ redis, keys }: SaleStore, sale: number): Promise<void> {
  const terms = await redis.hget(keys.sales, String(sale))
  await redis.hset(keys.sales, sale, terms?.replace(/\d+$/, '1') ?? '')
  for (const part of ['items', 'users', 'counts', 'holds', 'lapsed'])
    await redis.expireat(`${keys.prefix}sale:${sale}:${part}`, 1)
}

const drained = { code: 0, signal: null }

test('a sale that is recorded as it was decided passes', async (t) => {
  const { shop, drain, env } = await start(t)
  await sellSome(shop)
  await drain()
  const report = await runAuditJson(env)
  assert.equal(report.status, 0)
  assert.equal(report.verdict, 'passed')
  assert.deepEqual(breachesIn(report), {})
  assert.equal(report.attempts, 21)
  assert.deepEqual(report.unlisted, { redis: 3, postgres: 3 })
  const [only] = report.sales
  assert.deepEqual(only?.redis, { sold: 3, held: 5, attempts: 18 })
  assert.equal(only.postgres.purchases, 3)
  assert.equal(only.postgres.attempts, 18)
  assert.equal(only.postgres.outcomes['held'], 8)
  assert.deepEqual(report.log, { ...report.log, offset: '1-6', last: '1-6', backlog_entries: 0 })
})

test('every run leaves its verdict on record', async (t) => {
  const { postgres, shop, drain, env } = await start(t)
  await sellSome(shop)
  await runAudit(env, ['--wait-seconds', '0'])
  await drain()
  await runAudit(env, ['--sale', String(shop.sale)])
  const columns = "verdict, sale_id::float8 as sale, epoch || '-' || seq as position"
  assert.deepEqual(postgres.query(`select ${columns} from audits order by audit_id`), [
    { verdict: 'incomplete', sale: null, position: '0-0' },
    { verdict: 'passed', sale: shop.sale, position: '1-6' },
  ])
  postgres.query('drop table audits')
  const { status, stderr } = await runAudit(env)
  assert.equal(status, 0)
  assert.match(stderr, /the verdict is not kept/)
})

test('a person gets a table, the checks and the verdict', async (t) => {
  const { shop, drain, env } = await start(t)
  await sellSome(shop)
  await drain()
  const { status, stdout, stderr } = await runAudit(env)
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^ +sale +opened +items +sold +purchases/m)
  assert.match(stdout, new RegExp(`^${shop.sale} .* 20 +3 +3 +5 +18 +18$`, 'm'))
  assert.match(stdout, /^ {2}ok +no item is sold twice$/m)
  assert.match(stdout, /^PASSED: /m)
})

test('a sale that goes on while it is audited passes', async (t) => {
  const { redis, shop, env } = await start(t)
  const persister = await startPersister(t, { db, redis })
  const selling = { stop: false, batches: 0 }
  const sold = (async () => {
    for (; !selling.stop; selling.batches++) {
      const { nonces } = await shop.decide([{ item: 1 + (selling.batches % 25), user: `user${selling.batches % 9}` }])
      await shop.decide([{ item: 1 + (selling.batches % 25), nonce: nonces[0] ?? '' }, { item: 3 }])
      await delay(5)
    }
  })()
  for (let round = 0; round < 5; round++) {
    const report = await runAuditJson(env)
    assert.deepEqual(breachesIn(report), {})
    assert.equal(report.verdict, 'passed')
  }
  selling.stop = true
  await sold
  assert.deepEqual(await persister.drain(), drained)
  const report = await runAuditJson(env)
  assert.equal(report.verdict, 'passed')
  assert.equal(report.attempts, selling.batches * 3)
})

test('a log that is not drained is named, and what Postgres has of it is compared', async (t) => {
  const { shop, drain, env, postgres } = await start(t)
  await sellSome(shop)
  await drain()
  await shop.decide([
    { item: 10, user: 'emma' },
    { item: 11, user: 'emma', sale: shop.sale - 50 },
  ])
  const report = await runAuditJson(env, ['--wait-seconds', '0'])
  assert.equal(report.status, 2)
  assert.equal(report.verdict, 'incomplete')
  assert.deepEqual(breachesIn(report), {})
  assert.equal(report.log.backlog_entries, 1)
  assert.match(report.not_checked[0] ?? '', /up to 1-6, Redis was read at 1-7; 1 log entries are waiting/)
  assert.equal(report.sales[0]?.state, 'not_drained')
  const { status, stdout } = await runAudit(env, ['--wait-seconds', '0'])
  assert.equal(status, 2)
  assert.match(stdout, /^INCOMPLETE: /m)

  postgres.query(`update purchases set user_id = 'eve' where item_index = 1`)
  const breached = await runAuditJson(env, ['--wait-seconds', '0'])
  assert.equal(breached.status, 1)
  assert.equal(breachesIn(breached)['purchase_differs']?.[0]?.['postgres'], 'eve')
})

test('the audit waits for Postgres to get to where Redis was', async (t) => {
  const { redis, shop, env } = await start(t)
  await sellSome(shop)
  let said = ''
  const running = runAudit(env, [], (text) => (said = text))
  await eventually(() => said.includes('waiting for 6 log entries'), { what: 'the audit to wait' })
  const persister = await startPersister(t, { db, redis })
  const { status, stdout, stderr } = await running
  assert.equal(status, 0, stderr)
  assert.match(stdout, /up to 1-6/)
  assert.deepEqual(await persister.drain(), drained)
})

test('entries that are missing in the log are found', async (t) => {
  const { store, shop, drain, env } = await start(t)
  await drain()
  await sellSome(shop)
  await store.redis.xdel(store.keys.log, '1-4')
  const inside = breachesIn(await auditHere(env, { waitSeconds: 0 }))
  assert.equal(inside['log_gap']?.[0]?.['missing'], 1)
  await store.redis.xdel(store.keys.log, '1-2', '1-3')
  const front = breachesIn(await auditHere(env, { waitSeconds: 0 }))
  assert.deepEqual(front['log_gap'], [{ problem: 'neither in Redis nor in Postgres', from: '1-2', to: '1-4' }])
})

/** As an admission of another run does it. */
async function beginEpoch(store: SaleStore, postgres: Postgres, epoch: number): Promise<void> {
  const { epoch: current = 0, recordId = 'of a test', last } = await store.logState()
  postgres.query('insert into log_epochs (shard, epoch, run, after_epoch, after_seq) values (0, $1, $2, $3, $4)', [
    epoch,
    store.run,
    last.epoch,
    last.seq,
  ])
  await store.admit({ run: store.run, epoch: current, recordId, begins: { epoch, after: last } })
}

test('a log of several epochs passes, and what is missing at the end of one is found', async (t) => {
  const { store, shop, drain, env, postgres } = await start(t)
  await sellSome(shop)
  await beginEpoch(store, postgres, 2)
  const unlisted = { item: 1, sale: shop.sale - 50, user: 'ann' }
  await shop.decide([unlisted, { item: 12, user: 'emma' }])
  await beginEpoch(store, postgres, 3)
  await shop.decide([{ item: 13, user: 'emma' }])
  await drain()
  const report = await auditHere(env)
  assert.deepEqual(breachesIn(report), {})
  assert.equal(report.verdict, 'passed')
  assert.deepEqual(report.unlisted, { redis: 4, postgres: 4 })
  assert.equal(report.log.offset, '3-1')

  postgres.query('delete from checkout_attempts where epoch = 1 and batch = 6')
  postgres.query('delete from purchase_attempts where epoch = 1 and batch = 6')
  const [, gap] = breachesIn(await auditHere(env))['log_entry_missing']?.slice(1) ?? []
  assert.deepEqual(gap, { entries_without_attempts_from: '1-6', to: '1-6' })
})

test('a sale that Redis has dropped is checked in Postgres alone', async (t) => {
  const { store, shop, drain, env, postgres } = await start(t)
  const { nowMs } = await store.logState()
  const sale = shop.sale - 1
  const terms = {
    sale,
    opensAtMs: nowMs - 10_000,
    closesAtMs: nowMs + 4_000,
    items: 5,
    userLimit: 3,
    holdMs: 60_000,
    shards: 1,
  }
  await store.openSale(terms, 3_600)
  const old = new Shop(store, sale)
  const { nonces } = await old.decide([{ item: 1, user: 'ann' }])
  assert.deepEqual((await old.decide([{ item: 1, nonce: nonces[0] ?? '' }])).outcomes, ['purchased'])
  await drain()
  assert.equal((await auditHere(env)).sales[0]?.state, 'compared')

  await eventually(async () => (await store.logState()).nowMs > terms.closesAtMs)
  await expire(store, sale)
  const report = await auditHere(env)
  assert.equal(report.verdict, 'passed')
  assert.deepEqual(report.sales[0], { ...report.sales[0], state: 'postgres_alone', redis: null })

  // The next sale's opening takes it off the list.
  await store.openSale({ ...terms, sale: sale + 2, opensAtMs: nowMs, closesAtMs: nowMs + 3_600_000 }, 1)
  assert.equal((await store.listSales()).length, 2)
  await drain()
  assert.equal((await auditHere(env)).verdict, 'passed')
  postgres.query(`update purchases set user_id = 'eve' where sale_id = ${sale}`)
  const breached = await auditHere(env)
  assert.deepEqual(Object.keys(breachesIn(breached)), ['attempt_unlike_purchase', 'holder_differs'])
})

test('a server that has sold nothing yet passes', async (t) => {
  const { connection: redis } = await startRedis(t)
  newRecord(t, db)
  const report = await auditHere(servicesEnv({ db, redis }))
  assert.equal(report.verdict, 'passed')
  assert.equal(report.attempts, 0)
})

test('what cannot be checked ends with status 3 and the code of the fault', async (t) => {
  const { env } = await start(t)
  const noDatabase = await runAuditJson({ ...env, DB_NAME: 'nowhere' })
  assert.equal(noDatabase.status, 3)
  assert.equal(noDatabase.fault?.code, 'HC_POSTGRES_UNAVAILABLE')
  const wrongPassword = await runAudit({ ...env, REDIS_PASSWORD: 'not-the-password' })
  assert.equal(wrongPassword.status, 3)
  assert.match(wrongPassword.stderr, /HC_REDIS_REFUSED/)
  const wrongSetting = await runAudit({ ...env, DB_PORT: 'many' })
  assert.equal(wrongSetting.status, 3)
  assert.match(wrongSetting.stderr, /HC_CONFIG: .*DB_PORT/)
  assert.equal((await runAudit(env, ['--salt', '1'])).status, 3)
  const help = await runAudit({}, ['--help'])
  assert.equal(help.status, 0)
  assert.match(help.stdout, /--wait-seconds/)
})

test('a report in a file is whole or says why there is none, and a person still gets the text', async (t) => {
  const { shop, drain, env } = await start(t)
  await sellSome(shop)
  await drain()
  const file = join(temporaryFolder(t), 'report.json')
  writeFileSync(file, '{"verdict":"passed of yesterday"}')
  const passed = await runAudit(env, ['--out', file])
  assert.deepEqual([passed.status, verdictIn(file)], [0, 'passed'])
  assert.match(passed.stdout, /PASSED/)

  const failed = await runAudit({ ...env, DB_NAME: 'nowhere' }, ['--out', file])
  assert.deepEqual([failed.status, verdictIn(file)], [3, 'failed'])

  const nowhere = await runAudit(env, ['--out', join(file, 'below-a-file.json')])
  assert.equal(nowhere.status, 3)
  assert.match(nowhere.stderr, /the report can't be written to .*ENOTDIR/)
})

function verdictIn(file: string): unknown {
  return (JSON.parse(readFileSync(file, 'utf8')) as { verdict: unknown }).verdict
}

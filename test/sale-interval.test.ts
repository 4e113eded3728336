// Goal: servers on one Redis open their sales at one interval, and a shop can change it between two runs.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { sharedSettingLeaseMs } from '../core/limits.ts'
import { AsyncPostgres } from '../core/postgres/async-postgres.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { assertNumbersUnused } from '../server/primary/sale-interval.ts'
import { startCluster } from './helpers/cluster.ts'
import { codeOf, currentSale } from './helpers/items.ts'
import { newRecord, openPostgres } from './helpers/record.ts'
import { commandTimeoutMs, openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const [hourMs, halfMs] = [3_600_000, 1_800_000]

test('the interval of whoever keeps it is in force until it was not kept for a while', async (t) => {
  const redis = await startRedis(t)
  const store = new SaleStore(redis.connection, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await store.connect()
  const clock = await stepRedisClock(await openRedis(t, redis.admin))
  const keep = async (intervalMs: number) => await store.keep('interval', intervalMs, sharedSettingLeaseMs)

  assert.equal(await keep(hourMs), hourMs)
  assert.equal(await keep(halfMs), hourMs)
  await clock.set(sharedSettingLeaseMs / 2)
  assert.equal(await keep(hourMs), hourMs)
  await clock.set(sharedSettingLeaseMs)
  assert.equal(await keep(halfMs), hourMs, 'it was kept again meanwhile')
  await clock.set(3 * sharedSettingLeaseMs)
  assert.equal(await keep(halfMs), halfMs)
  assert.equal(await keep(hourMs), halfMs)
  await clock.set(-1_000_000)
  assert.equal(await keep(halfMs), halfMs)
  assert.equal(await keep(hourMs), halfMs)
  await clock.set(-2_000_000)
  assert.equal(await keep(hourMs), halfMs, 'after a step back whoever keeps it has a lease to say so again')
  await clock.set(-2_000_000 + 2 * sharedSettingLeaseMs)
  assert.equal(await keep(hourMs), hourMs, 'and no longer')
})

test('an interval that would bring numbers of sales again that are on record is refused', async (t) => {
  const { connection: db } = await startPostgres(t)
  const postgres = newRecord(t, db)
  const database = new AsyncPostgres(db, { applicationName: 'hotcakes test', connectionsMax: 1 })
  t.after(() => database.close())
  const nowMs = Date.now()
  const current = Math.floor(nowMs / hourMs)
  for (const sale of [current - 200, current - 1, current]) {
    const opensAt = new Date(sale * hourMs).toISOString()
    const text = `insert into sales values ($1, $2, $2::timestamptz + interval '1 hour', 10, 5, 600)`
    postgres.query(text, [sale, opensAt])
  }
  const check = (intervalMs: number) => assertNumbersUnused(database, { intervalMs, nowMs })
  for (const intervalMs of [hourMs, halfMs, hourMs - 1_000, 2 * hourMs]) await check(intervalMs)
  await assert.rejects(check(hourMs + 1_000), { code: 'HC_SALE_INTERVAL', message: /SECONDS=3601, and its number/ })
})

// At once: each waits for leases and bounds to pass, on services of its own, and needs hardly any CPU meanwhile.
describe('servers that wait for one with other settings', { concurrency: true }, () => {
  test('a server with another number of shards than one that runs is refused, and adds none', async (t) => {
    const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
    const services = { ...servicesEnv({ redis: redis.connection, db: postgres.connection }), APP_WORKERS: '1' }
    const env = { ...services, APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
    const first = await startCluster(t, { env })
    const refused = await startCluster(t, { env: { ...env, APP_SHARDS: '3' }, awaitReady: false })
    assert.equal((await refused.exited).code, 1)
    const log = refused.logLines().join('\n')
    assert.match(
      log,
      /HC_SHARDS.*waiting for servers with another number of shards to stop.*: .*APP_SHARDS=1, this one with 3/,
    )
    assert.match(log, /"level":"fatal".*HC_SHARDS/)
    assert.equal(openPostgres(t, postgres.connection).query('select from log_offsets').length, 1)
    assert.equal((await first.stop()).code, 0)
  })

  test('a server with several shards is refused beside one that knows of none, and adds none; with one shard it is not', async (t) => {
    const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
    const services = { ...servicesEnv({ redis: redis.connection, db: postgres.connection }), APP_WORKERS: '1' }
    const env = { ...services, APP_SALE_INTERVAL_SECONDS: '3600' }
    const store = new SaleStore(redis.connection, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
    t.after(() => store.close())
    await store.connect()
    // As a server of 0.1.0 does while it runs.
    await store.keep('interval', hourMs, 10 * sharedSettingLeaseMs)
    const refused = await startCluster(t, { env: { ...env, APP_SHARDS: '3' }, awaitReady: false })
    assert.equal((await refused.exited).code, 1)
    assert.match(
      refused.logLines().join('\n'),
      /"level":"fatal".*HC_SHARDS.*a version that can't sell over APP_SHARDS=3/,
    )
    const tables = openPostgres(t, postgres.connection).query(`select from pg_tables where tablename = 'log_offsets'`)
    assert.deepEqual(tables, [], 'Postgres was told nothing')
    const beside = await startCluster(t, { env })
    assert.equal((await beside.stop()).code, 0)
  })

  test('a server with another interval than one that runs is refused, and taken when that one was stopped', async (t) => {
    const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
    const services = { ...servicesEnv({ redis: redis.connection, db: postgres.connection }), APP_WORKERS: '1' }
    const monthly = { ...services, APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
    const weekly = { ...services, APP_SALE_INTERVAL_SECONDS: String(7 * 86_400) }
    const first = await startCluster(t, { env: monthly })
    const refused = await startCluster(t, { env: weekly, awaitReady: false })
    assert.equal((await refused.exited).code, 1)
    const log = refused.logLines().join('\n')
    assert.match(
      log,
      /"level":"warn".*HC_SALE_INTERVAL.*waiting for servers .* up to 30000 ms: .*SECONDS=2592000, this one with 604800/,
    )
    assert.match(log, /"level":"fatal".*HC_SALE_INTERVAL/)

    const sale = await currentSale(first)
    const code = codeOf(await first.http.post(`/checkout?user_id=ann&id=${sale}-1`))
    assert.equal((await first.stop()).code, 0)
    const changed = await startCluster(t, { env: weekly })
    assert.notEqual(await currentSale(changed), sale)
    assert.equal((await changed.http.post(`/purchase?code=${code}`)).status, 200, 'a code of before')
    assert.equal((await changed.stop()).code, 0)
  })
})

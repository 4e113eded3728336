// Goal: whoever has said how long attempts stay on record learns that there are older ones, and nothing is removed by itself.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { AsyncPostgres } from '../core/postgres/async-postgres.ts'
import { attemptTables, dailyTables } from '../core/postgres/daily-tables.ts'
import { msPerDay } from '../core/time.ts'
import { RecordDays } from '../server/primary/record-days.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { dayAgo } from './helpers/past-days.ts'
import { newRecord } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })

test('older days are warned of once a day, for as long as they are there', async (t) => {
  const postgres = newRecord(t, db)
  const database = new AsyncPostgres(db, { applicationName: 'hotcakes test', connectionsMax: 1, deadlineMs: 30_000 })
  t.after(() => database.close())
  const warned: object[] = []
  let nowMs = 0
  const log = { warn: (fields: object) => warned.push(fields) }
  const watch = (daysMax: number) =>
    new RecordDays({ postgres: database, log: log as never, daysMax, now: () => nowMs })
  const days = watch(7)
  assert.deepEqual([days.days, days.check], [undefined, undefined], 'nobody has looked')
  await days.look()
  assert.deepEqual([days.days, days.check?.status], [0, 'within'], 'there are no attempts')

  postgres.query(`select ensure_attempts_partitions('${dayAgo(7)}'), ensure_attempts_partitions('${dayAgo(0)}')`)
  await days.look()
  assert.deepEqual([days.days, days.check], [7, { status: 'within', days: 7, days_max: 7 }])
  postgres.query(`select ensure_attempts_partitions('${dayAgo(8)}')`)
  for (const atMs of [0, 1, msPerDay - 1]) {
    nowMs = atMs
    await days.look()
    assert.deepEqual(days.check, { status: 'over', days: 8, days_max: 7 })
  }
  assert.deepEqual(warned, [{ days: 8, daysMax: 7 }])
  nowMs = msPerDay
  await days.look()
  assert.equal(warned.length, 2)

  const unset = watch(0)
  await unset.look()
  assert.deepEqual([unset.days, unset.check, warned.length], [8, undefined, 2])
  const suffix = dayAgo(8).replaceAll('-', '')
  postgres.query(`drop table ${dailyTables.map((table) => `${table}_${suffix}`).join()}`)
  await days.look()
  assert.equal(days.check?.status, 'within')
})

test('/readyz, a metric and the log of a server tell of it, and the server is ready all the same', async (t) => {
  const { connection: redis } = await startRedis(t)
  const postgres = newRecord(t, db)
  postgres.query(`select ensure_attempts_partitions('${dayAgo(9)}')`)
  const env = { ...servicesEnv({ db, redis }), APP_RECORD_DAYS: '3', APP_SALE_INTERVAL_SECONDS: '86400' }
  const cluster = await startCluster(t, { env })
  const recordDays = await eventually(async () => {
    const { status, text } = await cluster.http.get('/readyz')
    const { checks } = JSON.parse(text) as { checks: { record_days?: object } }
    return status === 200 ? checks.record_days : undefined
  })
  assert.deepEqual(recordDays, { status: 'over', days: 9, days_max: 3 })
  const metrics = await new HttpClient(t, { baseUrl: cluster.metricsUrl }).get('/metrics')
  assert.match(metrics.text, /^hotcakes_record_age_seconds 777600$/m)
  assert.match(metrics.text, /^hotcakes_record_too_old 1$/m)
  assert.equal(cluster.logLines().filter((line) => line.includes('APP_RECORD_DAYS')).length, 1)
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
  assert.equal(
    postgres.query(`select from attempts_partitions where day = '${dayAgo(9)}'`).length,
    attemptTables.length,
  )
})

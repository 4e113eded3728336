import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { startCluster } from './helpers/cluster.ts'
import { beginDatabaseStart } from './helpers/database-start.ts'
import { buyOne } from './helpers/items.ts'
import { startPgbouncer } from './helpers/pgbouncer.ts'
import { openPostgres } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })

for (const mode of ['transaction', 'statement'] as const) {
  test(`a PgBouncer in ${mode} mode is refused at once, with the mode that is needed`, async (t) => {
    const pooled = await startPgbouncer(t, { db, mode })
    const message = /connection pooler .*user hotcakes.*pool_mode to session for database hotcakes/
    await assert.rejects(beginDatabaseStart(pooled).done, { code: 'HC_POSTGRES_POOLED', message })
    const owner = { ...pooled, user: db.ownerUser, password: db.ownerPassword }
    await assert.rejects(beginDatabaseStart(owner).done, { code: 'HC_POSTGRES_POOLED' })
    const tables = "select from pg_tables where schemaname = 'public'"
    assert.deepEqual(openPostgres(t, db).query(tables), [], 'nothing was set up')
  })
}

test('behind a PgBouncer in session mode the server starts, sells, records, reads and stops', async (t) => {
  const redis = await startRedis(t)
  const pooled = await startPgbouncer(t, { db, mode: 'session' })
  const env = {
    ...servicesEnv({ db: pooled, redis: redis.connection }),
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    APP_WORKERS: '1',
  }
  const cluster = await startCluster(t, { env })
  await buyOne(cluster, 'ann')
  for (let n = 0; n < 20; n++) assert.equal((await cluster.http.get('/users/ann/purchases')).status, 200)
  assert.equal((await cluster.stop()).code, 0)
  assert.deepEqual(openPostgres(t, db).query('select user_id from purchases'), [{ user_id: 'ann' }])
})

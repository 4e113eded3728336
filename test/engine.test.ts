// Goal: the server starts on the engines that are there, sells, keeps a record that passes its audit, and stops in order.
// Method: the real server on services that test/engines may have chosen. What they say of themselves is printed, and
// test/engines holds it against what it chose.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { startCluster } from './helpers/cluster.ts'
import { checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { openPostgres } from './helpers/record.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

test('the server starts, sells, passes its audit and stops', async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const env = {
    ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  }
  const cluster = await startCluster(t, { env })
  const item = `${await currentSale(cluster)}-1`
  const code = codeOf(await cluster.http.post(checkoutPath('ann', item)))
  assert.equal((await cluster.http.post(purchasePath(code))).status, 200)
  assert.equal((await cluster.http.post(checkoutPath('bob', item))).status, 409)
  const audit = await runAuditJson(env)
  assert.deepEqual([audit.verdict, breachesIn(audit)], ['passed', {}])
  assert.equal(audit.attempts, 3)
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })

  const info = await (await openRedis(t, redis.admin)).info('server')
  const field = (name: string): string | undefined => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  const valkey = field('valkey_version')
  t.diagnostic(`redis: ${valkey === undefined ? `Redis ${field('redis_version')}` : `Valkey ${valkey}`}`)
  const [row] = openPostgres(t, postgres.connection).query<{ version: string }>(
    "select split_part(version(), ' on ', 1) as version",
  )
  t.diagnostic(`postgres: ${row?.version}`)
})

// Goal: users are named as identity providers name them, and each is the same one everywhere: in Redis, in every answer,
// on record, and by another spelling of the same URL.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { userIdLengthMax } from '../core/ids.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord, openPostgres } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const postgres = await startPostgres({ after })
const redis = await startRedis({ after })
const db = postgres.connection
newRecord({ after }, db)
const servicesOf = servicesEnv({ db, redis: redis.connection })
const env = { ...servicesOf, APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_USER_LIMIT: '1' }
const worker = await startHttpWorker({ after }, redis, { env })
const { http } = worker
const sale = await currentSale(worker)

const users = [
  'auth0|5f7c8ec7c33c6c004bbafe82',
  'jane+sale@example.com',
  'jane sale@example.com'.replace(' ', '%20'),
  "o'brien@example.com",
  'jo_example.org#EXT#@example.com',
  'AItOawmwtWwcT0k51BayewNvutrJUqsvl6qs7A4+/==',
  'a/../b',
  'a%2Fb',
  "'; drop table purchases; --".replaceAll(' ', ''),
  '{hotcakes:0}:sale:1:users',
  '__proto__',
  '$1,(2);[3]*?^`~!',
  '~'.repeat(userIdLengthMax),
]

test('whoever is named in printable ASCII holds, purchases and is on record by that name', async (t) => {
  for (const [at, user] of users.entries()) {
    const code = await hold(worker, user, `${sale}-${at + 1}`)
    assert.equal(codeOf(await checkout(worker, user, `${sale}-${at + 1}`)), code)
    const bought = await purchase(worker, code)
    assert.deepEqual([bought.status, bought.json?.['user_id']], [200, user])
    assertProblem(await checkout(worker, user, `${sale}-100`), 409, 'user_limit_reached')
  }
  await (await startPersister(t, { db, redis: redis.connection })).drain()

  for (const [at, user] of users.entries()) {
    const listed = await http.get(`/users/${encodeURIComponent(user)}/purchases`)
    assert.equal(listed.status, 200, listed.text)
    assert.equal(listed.json?.['user_id'], user)
    const purchases = listed.json?.['purchases'] as { item_id: string }[] | undefined
    assert.deepEqual(
      purchases?.map(({ item_id: item }) => item),
      [`${sale}-${at + 1}`],
    )
  }
  const record = openPostgres(t, db)
  for (const table of ['purchases', 'checkout_attempts', 'purchase_attempts']) {
    const rows = record.query<{ user: string }>(`select distinct user_id as user from ${table}`)
    assert.deepEqual(rows.map(({ user }) => user).toSorted(), users.toSorted(), table)
  }
  const audit = await runAuditJson(servicesOf)
  assert.deepEqual([audit.verdict, breachesIn(audit)], ['passed', {}])
})

test('a plus in a query is a space, which no user has: it has to be encoded', async () => {
  const path = `/checkout?id=${sale}-200&user_id=`
  assertProblem(await http.post(`${path}joe+sale@example.com`), 400, 'invalid_request')
  const encoded = await http.post(`${path}joe%2Bsale@example.com`)
  assert.equal(codeOf(encoded), codeOf(await checkout(worker, 'joe+sale@example.com', `${sale}-200`)))
})

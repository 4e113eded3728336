import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'

import { Validator } from '@seriousme/openapi-schema-validator'

import { type ApiDescription, describedApi } from './helpers/api-description.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { checkoutPath, codeOf, currentSale, purchasePath, releasePath } from './helpers/items.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

// Method: every answer that this file gets is held against the server's own description, and at the end every answer
// that is described must have been seen, but for those that take an overload or an outage and have tests of their own,
// and for a Redis that ends in the middle of reading something that is otherwise read in Postgres.

const seenElsewhere: Readonly<Record<string, string>> = {
  overloaded: 'test/overload.test.ts',
  backlog_full: 'test/outages.test.ts',
  unrecorded: 'test/strictest-ack.test.ts',
  shutting_down: 'test/http-worker.test.ts',
  recovering: 'test/redis-away.test.ts',
  code_of_another: 'test/release.test.ts',
}

const [redis, postgres] = await Promise.all([startRedis({ after }), startPostgres({ after })])
/** Far longer than the tests need between a hold and what becomes of it. */
const holdSeconds = 600
const services = servicesEnv({ redis: redis.connection, db: postgres.connection })
const env = {
  ...services,
  APP_WORKERS: '1',
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_ITEM_NUMBER: '20',
  APP_USER_LIMIT: '2',
  APP_HOLD_SECONDS: String(holdSeconds),
}
const cluster = await startCluster({ after }, { env })
const { http } = cluster
const clock = await stepRedisClock(await openRedis({ after }, redis.admin))
let holdsEnded = 0
const api = await describedApi(http)
const sale = await currentSale(cluster)
const neverGiven = 'A'.repeat(16)
const readPaths = [
  '/sale',
  '/items',
  `/items/${sale}-1`,
  `/items/${sale}-1/picture.svg`,
  '/sales',
  `/sales/${sale}`,
  `/sales/${sale}/curve`,
  '/users/ann/purchases',
  `/purchases/${sale}-1-${neverGiven}`,
]

function checkOut(user: string, item: number | string) {
  return api.send(http, 'POST', checkoutPath(user, typeof item === 'number' ? `${sale}-${item}` : item))
}

/** All that there are: Redis' clock steps ahead. */
async function endHolds(): Promise<void> {
  holdsEnded += 1
  await clock.set(holdsEnded * holdSeconds * 1_000)
}

/** Whether other tests show it, or it is a race. */
function isExcused(answer: string): boolean {
  const isRace = /^(sales|saleRecord|saleCurve|purchasesOfUser|purchaseByCode) 503 unavailable$/.test(answer)
  return isRace || (answer.split(' ')[2] ?? '') in seenElsewhere
}

async function answers(description: ApiDescription, path: string, method = 'POST'): Promise<string> {
  const { status, json } = await description.send(http, method, path)
  return `${status} ${String(json?.['code'])}`
}

/** Of what is in Postgres, which may be late on a busy machine: then it is asked again. */
async function recorded(path: string): Promise<string> {
  const late = '503 records_unavailable'
  return await eventually(
    async () => {
      const answer = await answers(api, path, 'GET')
      return answer === late ? undefined : answer
    },
    { what: path },
  )
}

test('the description is one by the rules of OpenAPI 3.1', async () => {
  const validation = await new Validator().validate({ ...structuredClone(api.document) })
  assert.deepEqual(validation, { valid: true })
  assert.match(api.document.openapi, /^3\.1\./)
})

test('every answer to a checkout is described', async () => {
  const held = await checkOut('ann', 1)
  assert.deepEqual((await checkOut('ann', 1)).json, held.json)
  assert.equal((await checkOut('bob', 1)).json?.['code'], 'item_held')
  await checkOut('ann', 2)
  assert.equal((await checkOut('ann', 3)).json?.['code'], 'user_limit_reached')
  assert.equal((await api.send(http, 'POST', purchasePath(codeOf(held)))).status, 200)
  assert.equal((await checkOut('bob', 1)).json?.['code'], 'item_sold')
  assert.equal((await checkOut('bob', 21)).json?.['code'], 'item_unknown')
  assert.equal((await checkOut('bob', `${sale - 1}-1`)).json?.['code'], 'sale_closed')
  assert.equal((await checkOut('bob', `${sale + 2}-1`)).json?.['code'], 'sale_not_open')
  assert.equal(await answers(api, '/checkout?user_id=me'), '400 invalid_request')
})

test('every answer to a purchase is described', async () => {
  const code = codeOf(await checkOut('carl', 4))
  const bought = await api.send(http, 'POST', purchasePath(code))
  assert.deepEqual((await api.send(http, 'POST', purchasePath(code))).json, bought.json)
  assert.equal(await answers(api, purchasePath(`${sale}-5-${neverGiven}`)), '404 code_unknown')
  const late = codeOf(await checkOut('carl', 5))
  await endHolds()
  assert.equal((await checkOut('dora', 5)).status, 200)
  assert.equal(await answers(api, purchasePath(late)), '410 code_expired')
  assert.equal(await answers(api, '/purchase?code=none'), '400 invalid_request')
})

test('every answer to a release is described', async () => {
  const code = codeOf(await checkOut('hal', 12))
  const released = await api.send(http, 'POST', releasePath(code))
  assert.equal(released.status, 200, released.text)
  assert.equal((await api.send(http, 'POST', releasePath(code))).text, released.text)
  const bought = codeOf(await checkOut('hal', 12))
  assert.equal((await api.send(http, 'POST', purchasePath(bought))).status, 200)
  assert.equal(await answers(api, releasePath(bought)), '409 item_purchased')
  assert.equal(await answers(api, releasePath(code)), '404 code_unknown')
  const late = codeOf(await checkOut('hal', 13))
  await endHolds()
  assert.equal((await checkOut('ida', 13)).status, 200)
  assert.equal(await answers(api, releasePath(late)), '410 code_expired')
  assert.equal(await answers(api, '/release?code=none'), '400 invalid_request')
})

test('what shows the sale and the health of the server is as described', async () => {
  for (const path of ['/sale', '/readyz', '/health', '/livez']) {
    await eventually(async () => (await api.send(http, 'GET', path)).status === 200)
    const withBody = await api.send(http, 'GET', path, { 'Transfer-Encoding': 'chunked' })
    assert.equal(withBody.json?.['code'], 'invalid_request', path)
  }
})

test('every answer about items is described', async () => {
  await checkOut('fay', 9)
  for (const path of ['/items?limit=3', '/items?state=held', `/items?sale=${sale}&after=18`, `/items/${sale}-9`]) {
    assert.equal((await api.send(http, 'GET', path)).status, 200)
  }
  const picture = await api.send(http, 'GET', `/items/${sale}-9/picture.svg`)
  const known = { 'If-None-Match': String(picture.headers.etag) }
  assert.equal((await api.send(http, 'GET', `/items/${sale}-9/picture.svg`, known)).status, 304)
  assert.equal(await answers(api, '/items?limit=0', 'GET'), '400 invalid_request')
  assert.equal(await recorded('/items?sale=1'), '404 sale_unknown')
  assert.equal(await answers(api, '/items/none', 'GET'), '400 invalid_request')
  assert.equal(await answers(api, '/items/none/picture.svg', 'GET'), '400 invalid_request')
  assert.equal(await recorded('/items/1-1'), '404 sale_unknown')
  assert.equal(await answers(api, `/items/${sale}-21`, 'GET'), '404 item_unknown')
})

test('every answer about what is on record is described', async () => {
  const code = codeOf(await checkOut('gus', 10))
  const bought = await api.send(http, 'POST', purchasePath(code))
  assert.deepEqual((await api.send(http, 'GET', `/purchases/${code}`)).json, bought.json)
  await eventually(async () => {
    const { json } = await api.send(http, 'GET', '/users/gus/purchases?limit=1')
    return (json?.['purchases'] as object[] | undefined)?.length === 1
  })
  for (const path of ['/sales?limit=1', `/sales/${sale}`, `/sales/${sale}/curve`]) {
    assert.equal(await recorded(path), '200 undefined')
  }
  assert.equal(await answers(api, '/sales?after=x', 'GET'), '400 invalid_request')
  assert.equal(await answers(api, '/sales/x', 'GET'), '400 invalid_request')
  assert.equal(await recorded('/sales/1'), '404 sale_unknown')
  assert.equal(await answers(api, '/sales/x/curve', 'GET'), '400 invalid_request')
  assert.equal(await recorded('/sales/1/curve'), '404 sale_unknown')
  assert.equal(await answers(api, '/users/a%20b/purchases', 'GET'), '400 invalid_request')
  assert.equal(await answers(api, '/purchases/none', 'GET'), '400 invalid_request')
  assert.equal(await recorded(`/purchases/${sale}-11-${neverGiven}`), '404 purchase_unknown')
  for (const path of ['/users/gus/purchases', `/purchases/${sale}-11-${neverGiven}`]) {
    assert.equal(await recorded(`${path}?decision=999-1-0`), '503 record_behind')
  }
})

test('what the description tells to copy and paste works', () => {
  const [, script = ''] = /```sh\n(.*?)```/s.exec(api.document.info.description) ?? []
  const used = script.replaceAll(`-1'`, `-6'`)
  const { stdout, stderr } = spawnSync('sh', ['-c', used], { encoding: 'utf8' })
  assert.match(stdout, /"status":"purchased"/, stderr)
})

test('who asks too often is told so as described', async (t) => {
  const slowed = await startCluster(t, { env: { ...env, APP_RATE_LIMIT_PER_SECOND: '1' } })
  const limited = async (method: string, path: string) => {
    const isLimited = async () => (await api.send(slowed.http, method, path)).status === 429
    await eventually(isLimited, { what: `too many ${path}` })
  }
  await limited('POST', checkoutPath('eve', `${sale}-7`))
  await limited('POST', purchasePath(`${sale}-7-${neverGiven}`))
  await limited('POST', releasePath(`${sale}-7-${neverGiven}`))
  for (const path of readPaths) await limited('GET', path)
  assert.deepEqual(await slowed.stop(), { code: 0, signal: null })
})

test('what is answered without Redis is described', async () => {
  await redis.stop()
  const isAway = async () => (await api.send(http, 'GET', '/readyz')).status === 503
  await eventually(isAway, { what: 'the end of Redis' })
  assert.equal((await api.send(http, 'GET', '/health')).status, 503)
  assert.equal((await checkOut('ann', 8)).json?.['code'], 'unavailable')
  assert.equal(await answers(api, purchasePath(`${sale}-8-${neverGiven}`)), '503 unavailable')
  assert.equal(await answers(api, releasePath(`${sale}-8-${neverGiven}`)), '503 unavailable')
  for (const path of ['/sale', '/items', `/items/${sale}-1`]) {
    assert.equal(await answers(api, path, 'GET'), '503 unavailable')
  }
  await redis.start()
  await eventually(async () => (await api.send(http, 'GET', '/readyz')).status === 200, { what: 'Redis' })
})

test('what is answered without Postgres is described', async () => {
  await postgres.stop()
  for (const path of [
    '/sales',
    `/sales/${sale}`,
    '/sales/1/curve',
    '/users/ann/purchases',
    `/purchases/1-1-${neverGiven}`,
  ]) {
    await eventually(async () => (await answers(api, path, 'GET')) === '503 records_unavailable', { what: path })
  }
  await postgres.start()
})

test('every answer that is described was seen here, or is one that other tests show', () => {
  const left = api.unseen().filter((answer) => !isExcused(answer))
  assert.deepEqual(left, [])
  for (const [code, file] of Object.entries(seenElsewhere)) {
    const text = readFileSync(new URL(file.replace('.ts', '.js'), new URL('../', import.meta.url)), 'utf8')
    assert.ok(text.includes(code), `${file} does not show ${code}`)
  }
})

test('paths and methods that the description does not have are answered as it says', async () => {
  const client = new HttpClient({ after }, { baseUrl: cluster.baseUrl })
  for (const [path, methods] of Object.entries(api.document.paths)) {
    const concrete = path.replaceAll(/\{\w+\}/g, `${sale}-1`)
    const wrong = await client.send('DELETE', concrete)
    assert.equal(wrong.status, 405, concrete)
    for (const method of Object.keys(methods)) assert.ok(wrong.headers.allow?.includes(method.toUpperCase()), concrete)
  }
  assert.equal((await client.get('/nothing')).json?.['code'], 'route_unknown')
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
})

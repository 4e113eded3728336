// Goal: pages of the origins that were named can use the whole API, errors included; those of others read nothing.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'

import { launchBrowser } from '../bench/harness/browser.ts'
import { BoardView } from './helpers/board.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { checkoutPath, currentSale } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import type { Scope } from './helpers/scope.ts'
import { startRedis } from './helpers/services.ts'

const shop = 'https://shop.example.com'
const stranger = 'https://stranger.example.com'
const thirtyDays = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
const redis = await startRedis({ after })

function startWorker(scope: Scope, env: Record<string, string>): Promise<TestHttpWorker> {
  return startHttpWorker(scope, redis, { env: { ...thirtyDays, ...env } })
}

const fromOrigin = (name: string) => ({ headers: { Origin: name } })

/** What the answer says to browsers about other origins. */
function corsOf({ headers }: HttpReply): Record<string, unknown> {
  const names = Object.keys(headers).filter((name) => name.startsWith('access-control-') || name === 'vary')
  return Object.fromEntries(names.map((name) => [name, headers[name]]))
}

const exposed =
  'Hotcakes-Decision, Hotcakes-Lag, Hotcakes-Position, Retry-After, ETag, RateLimit, RateLimit-Policy, WWW-Authenticate'
const readable = { 'access-control-allow-origin': shop, vary: 'Origin', 'access-control-expose-headers': exposed }

test('every answer, refusals too, may be read by the pages of a named origin and by no others', async (t) => {
  const worker = await startWorker(t, { APP_ALLOWED_ORIGINS: `http://localhost:3000, ${shop}` })
  const id = `${await currentSale(worker)}-1`
  for (const [method, path, status] of [
    ['POST', checkoutPath('ann', id), 200],
    ['POST', checkoutPath('bob', id), 409],
    ['POST', '/checkout', 400],
    ['POST', '/purchase?code=x', 400],
    ['GET', '/sale', 200],
    ['HEAD', '/sale', 200],
    ['GET', '/items?limit=1', 200],
    ['GET', `/items/${id}/picture.svg`, 200],
    ['GET', '/openapi.json', 200],
    ['GET', '/nothing', 404],
    ['DELETE', '/checkout', 405],
    ['GET', '/readyz', 200],
    // The tests' worker has no Postgres.
    ['GET', '/users/ann/purchases', 503],
  ] as const) {
    const toShop = await (path === '/readyz' ? readiness(worker) : worker.http.send(method, path, fromOrigin(shop)))
    assert.deepEqual([toShop.status, corsOf(toShop)], [status, readable], `${method} ${path}`)
    for (const options of [
      fromOrigin(stranger),
      fromOrigin('null'),
      fromOrigin(`${shop}.evil.example`),
      fromOrigin('x'.repeat(999)),
      {},
    ])
      assert.deepEqual(corsOf(await worker.http.send(method, path, options)), { vary: 'Origin' }, `${method} ${path}`)
  }
})

/** A worker that is slow to say how it is counts as not ready for a moment. */
async function readiness({ http }: TestHttpWorker): Promise<HttpReply> {
  return await eventually(async () => {
    const reply = await http.get('/readyz', fromOrigin(shop))
    return reply.status === 200 ? reply : undefined
  })
}

test('a 304, a 429 and a 503 of a server that turns away may be read as well', async (t) => {
  const worker = await startWorker(t, { APP_ALLOWED_ORIGINS: shop, APP_RATE_LIMIT_PER_SECOND: '2' })
  const id = `${await currentSale(worker)}-1`
  const ask = async (method: string, path: string, headers: readonly string[], from: string) => {
    const connection = await openConnection(t, worker.port, from)
    await connection.send(requestText(method, path, [`Origin: ${shop}`, ...headers]))
    return connection.reply()
  }
  const picture = `/items/${id}/picture.svg`
  const tag = String((await ask('GET', picture, [], '127.0.0.2')).headers['etag'])
  const unchanged = await ask('GET', picture, [`If-None-Match: ${tag}`], '127.0.0.3')
  assert.deepEqual([unchanged.status, corsOf(unchanged)], [304, readable])

  const limited = await eventually(async () => {
    const reply = await ask('GET', '/sale', [], '127.0.0.4')
    return reply.status === 429 ? reply : undefined
  })
  assert.deepEqual(corsOf(limited), readable)
  assert.equal(limited.json?.['code'], 'rate_limited')

  const away = await startWorkerWithoutRedis(t)
  const refused = await away.http.post(checkoutPath('ann', id), { headers: { Origin: shop } })
  assert.deepEqual([refused.status, corsOf(refused)], [503, readable])
  assert.ok(refused.headers['retry-after'])
})

async function startWorkerWithoutRedis(scope: Scope): Promise<TestHttpWorker> {
  const own = await startRedis(scope)
  const worker = await startHttpWorker(scope, own, { env: { ...thirtyDays, APP_ALLOWED_ORIGINS: shop } })
  await own.stop()
  await eventually(async () => (await worker.http.get('/readyz')).status === 503, {
    what: 'a worker without its Redis',
  })
  return worker
}

test('a preflight says what may be asked, to the pages of a named origin', async (t) => {
  const worker = await startWorker(t, { APP_ALLOWED_ORIGINS: shop })
  for (const [path, allow] of [
    ['/checkout', 'POST, OPTIONS'],
    ['/sale', 'GET, HEAD, OPTIONS'],
    ['/items/1-1', 'GET, HEAD, OPTIONS'],
  ] as const) {
    const preflight = (origin: string) =>
      worker.http.send('OPTIONS', path, { headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' } })
    const answer = await preflight(shop)
    assert.deepEqual([answer.status, answer.text, answer.headers['allow']], [204, '', allow])
    assert.deepEqual(corsOf(answer), {
      ...readable,
      'access-control-allow-methods': allow,
      'access-control-allow-headers': '*, Authorization',
      'access-control-max-age': '7200',
    })
    assert.deepEqual(corsOf(await preflight(stranger)), { vary: 'Origin' })
  }
})

test('with * everybody’s pages may read, and without the setting nobody’s', async (t) => {
  const open = await startWorker(t, { APP_ALLOWED_ORIGINS: '*' })
  for (const headers of [{ Origin: shop }, { Origin: 'null' }, {}]) {
    const reply = await open.http.get('/sale', { headers })
    assert.deepEqual(corsOf(reply), { 'access-control-allow-origin': '*', 'access-control-expose-headers': exposed })
  }
  const closed = await startWorker(t, {})
  assert.deepEqual(corsOf(await closed.http.get('/sale', { headers: { Origin: shop } })), {})
  assert.deepEqual(corsOf(await closed.http.send('OPTIONS', '/checkout', { headers: { Origin: shop } })), {})
})

test('the board’s feed is for any origin: it says nothing that is not public, and takes nothing in', async (t) => {
  const worker = await startWorker(t, { APP_ALLOWED_ORIGINS: shop })
  const feed = await BoardView.open(t, worker.baseUrl, { headers: { Origin: stranger } })
  await eventually(() => feed.count('state') === 1)
})

test('in a browser, a page of a named origin buys an item and reads a refusal; another reads nothing', async (t) => {
  const browser = await launchBrowser()
  t.after(() => browser.close())
  const [front, other] = [await servePage(t), await servePage(t)]
  const worker = await startWorker(t, { APP_ALLOWED_ORIGINS: front })
  const id = `${await currentSale(worker)}-5`
  const page = await browser.newPage()

  await page.goto(front)
  // The content type makes the browser ask first: a preflight.
  const bought = await page.evaluate(`(async () => {
    const post = (path) => fetch(${JSON.stringify(worker.baseUrl)} + path, { method: 'POST', headers: { 'Content-Type': 'application/json' } })
    const hold = await post(${JSON.stringify(checkoutPath('ann', id))})
    const { code } = await hold.json()
    const purchase = await post('/purchase?code=' + code)
    const refused = await post(${JSON.stringify(checkoutPath('bob', id))})
    return [hold.status, hold.headers.has('Hotcakes-Decision'), (await purchase.json()).status, (await refused.json()).code]
  })()`)
  assert.deepEqual(bought, [200, true, 'purchased', 'item_sold'])

  await page.goto(other)
  const unread = await page.evaluate(
    `fetch(${JSON.stringify(`${worker.baseUrl}/sale`)}).then(() => 'read', (error) => error.name)`,
  )
  assert.equal(unread, 'TypeError')
})

/** An empty page on an origin of its own. */
async function servePage(scope: Scope): Promise<string> {
  const server = createServer((_request, reply) => reply.setHeader('Content-Type', 'text/html').end('<!doctype html>'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

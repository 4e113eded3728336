// Goal: what people see of an item is true, the same everywhere, and gives away nobody's id and no code.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { startRedis } from './helpers/services.ts'

const itemCount = 1_200
const redis = await startRedis({ after })
const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_ITEM_NUMBER: String(itemCount) }
const worker = await startHttpWorker({ after }, redis, { env })
const other = await startHttpWorker({ after }, redis, { env })
const { http } = worker
const sale = await currentSale(worker)

interface Item {
  readonly id: string
  readonly index: number
  readonly name: string
  readonly state: string
}

interface Page {
  readonly items: readonly Item[]
  readonly next: string | null
}

async function page(path: string): Promise<Page> {
  const { status, json, text } = await http.get(path)
  assert.equal(status, 200, text)
  return json as unknown as Page
}

/** All pages from that path on. */
async function follow(path: string): Promise<Page[]> {
  const pages: Page[] = []
  for (let next: string | null = path; next !== null; next = pages.at(-1)?.next ?? null) pages.push(await page(next))
  return pages
}

async function sell(user: string, item: string): Promise<void> {
  assert.equal((await purchase(worker, await hold(worker, user, item))).status, 200)
}

test('an item says what it is, and whether it can be had', async () => {
  const path = `/items/${sale}-7`
  const untouched = await http.get(path)
  assert.equal(untouched.headers['content-type'], 'application/json')
  assert.equal(untouched.headers['cache-control'], 'no-store')
  const { name } = untouched.json as unknown as Item
  assert.match(name, /^[A-Z][a-z]+ [A-Z][a-z]+ [A-Z][a-z]/)
  const fixed = { id: `${sale}-7`, sale_id: sale, index: 7, name, picture: `${path}/picture.svg` }
  assert.deepEqual(untouched.json, { ...fixed, state: 'available', hold_expires_at: null })

  const held = await checkout(worker, 'secret-user', `${sale}-7`)
  const heldItem = await http.get(path)
  assert.deepEqual(heldItem.json, { ...fixed, state: 'held', hold_expires_at: held.json?.['expires_at'] })

  const code = codeOf(held)
  await purchase(worker, code)
  const sold = await http.get(path)
  assert.deepEqual(sold.json, { ...fixed, state: 'sold', hold_expires_at: null })
  for (const { text } of [heldItem, sold]) assert.ok(!text.includes('secret-user') && !text.includes(code.slice(-16)))
  assert.deepEqual((await other.http.get(path)).json, sold.json)
})

test('an expired hold is nothing that anybody sees', async (t) => {
  const quick = await startHttpWorker(t, redis, {
    env: { APP_SALE_INTERVAL_SECONDS: String(29 * 86_400), APP_HOLD_SECONDS: '1' },
  })
  const item = `${await currentSale(quick)}-1`
  await hold(quick, 'ann', item)
  await eventually(async () => (await quick.http.get(`/items/${item}`)).json?.['state'] === 'available')
})

test('all items come in the order of their numbers, each on one page', async () => {
  const pages = await follow('/items?limit=100')
  assert.deepEqual(
    pages.flatMap(({ items }) => items.map(({ index }) => index)),
    Array.from({ length: itemCount }, (_, n) => n + 1),
  )
  assert.equal(pages.length, itemCount / 100)
  assert.equal((await page('/items')).items.length, 50)
  assert.deepEqual(await page(`/items?after=${itemCount}`), { sale_id: sale, items: [], next: null })
})

test('a page stays what it is while items before it are sold', async () => {
  const first = await page('/items?state=available&limit=5')
  const second = await page(first.next ?? '')
  for (const { id } of first.items) await sell('ann', id)
  assert.deepEqual(await page(first.next ?? ''), second)
})

test('with a state asked for the pages have all items in it and no others', async () => {
  for (const index of [600, 601, 1_199]) await sell('bob', `${sale}-${index}`)
  const held = [2, 700, 1_200].map((index) => `${sale}-${index + 20 * Number(index === 2)}`)
  for (const id of held) await hold(worker, 'carl', id)
  for (const [state, expected] of [
    ['held', held],
    ['sold', [600, 601, 1_199].map((index) => `${sale}-${index}`)],
  ] as const) {
    const items = (await follow(`/items?sale=${sale}&state=${state}&limit=2`)).flatMap((one) => one.items)
    assert.ok(items.every((item) => item.state === state))
    const ids = new Set(items.map(({ id }) => id))
    for (const id of expected) assert.ok(ids.has(id), id)
    assert.equal(ids.size, items.length)
  }
})

test('an item that can be had is found behind many that are taken, and where none can be had the page is empty', async (t) => {
  const small = await startHttpWorker(t, redis, {
    env: { APP_SALE_INTERVAL_SECONDS: String(28 * 86_400), APP_ITEM_NUMBER: String(1_020), APP_USER_LIMIT: '100' },
  })
  const current = await currentSale(small)
  const take = (from: number, to: number) =>
    Promise.all(Array.from({ length: to - from + 1 }, (_, n) => hold(small, `dora-${from}`, `${current}-${from + n}`)))
  for (let from = 1; from <= 1_000; from += 50) await take(from, from + 49)
  const first = async () => (await small.http.get('/items?state=available&limit=1')).json as unknown as Page
  assert.deepEqual(
    (await first()).items.map(({ id }) => id),
    [`${current}-1001`],
  )
  await take(1_001, 1_020)
  assert.deepEqual((await first()).items, [])
})

test('what is malformed, and what is not there, is told apart', async () => {
  for (const query of [
    'limit=0',
    'limit=101',
    'limit=x',
    'limit=1&limit=2',
    'after=-1',
    'after=01',
    'state=gone',
    'state=',
    'sale=1e3',
    `after=${'9'.repeat(16)}`,
    `x=${'y'.repeat(2_000)}`,
  ]) {
    assertProblem(await http.get(`/items?${query}`), 400, 'invalid_request')
  }
  for (const id of ['x', `${sale}`, `${sale}-01`, `${sale}-1-2`, '%00', '%zz', `${sale}-1%2F`]) {
    assertProblem(await http.get(`/items/${id}`), 400, 'invalid_request')
    assertProblem(await http.get(`/items/${id}/picture.svg`), 400, 'invalid_request')
  }
  assertProblem(await http.get(`/items/${sale}-0`), 404, 'item_unknown')
  assertProblem(await http.get(`/items/${sale}-${itemCount + 1}`), 404, 'item_unknown')
  assertProblem(await http.get(`/items/${sale + 9}-1`), 404, 'sale_unknown')
  assertProblem(await http.get(`/items?sale=${sale + 9}`), 404, 'sale_unknown')
  assertProblem(await http.get(`/items/${sale}-1/picture.png`), 404, 'route_unknown')
  assertProblem(await http.get(`/items/${sale}-1/`), 404, 'route_unknown')
})

test('an escaped id is the id', async () => {
  assert.equal((await http.get(`/items/${sale}%2D9`)).json?.['id'], `${sale}-9`)
})

test('a picture is the same on every server, and may be kept for ever', async () => {
  const path = `/items/${sale}-1/picture.svg`
  const picture = await http.get(path)
  assert.equal(picture.status, 200)
  assert.match(picture.text, /^<svg .*<\/svg>$/s)
  assert.ok(!/<script|style=|href=|on\w+=/.test(picture.text))
  const { headers } = picture
  assert.equal(headers['content-type'], 'image/svg+xml')
  assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
  assert.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'; sandbox")
  assert.equal(headers['x-content-type-options'], 'nosniff')
  const again = await other.http.get(path)
  assert.deepEqual([again.text, again.headers['etag']], [picture.text, headers['etag']])
  assert.notEqual((await http.get(`/items/${sale}-2/picture.svg`)).text, picture.text)
})

test('who has the picture is told so without its bytes', async () => {
  const path = `/items/${sale}-1/picture.svg`
  const tag = String((await http.get(path)).headers['etag'])
  for (const known of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
    const { status, headers, text } = await http.get(path, { headers: { 'If-None-Match': known } })
    assert.deepEqual([status, text, headers['etag']], [304, '', tag])
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
  }
  assert.equal((await http.get(path, { headers: { 'If-None-Match': '"x"' } })).status, 200)
})

test('HEAD is GET without a body, and other methods are named', async () => {
  for (const path of ['/items', `/items/${sale}-1`, `/items/${sale}-1/picture.svg`]) {
    const { headers, text } = await http.get(path)
    const head = await http.send('HEAD', path)
    assert.deepEqual([head.status, head.text], [200, ''])
    assert.equal(head.headers['content-length'], String(Buffer.byteLength(text)))
    assert.equal(head.headers['content-type'], headers['content-type'])
    for (const method of ['POST', 'DELETE']) {
      const refused = await http.send(method, path)
      assertProblem(refused, 405, 'method_not_allowed')
      assert.equal(refused.headers['allow'], 'GET, HEAD, OPTIONS')
    }
    assert.equal((await http.send('OPTIONS', path)).status, 204)
  }
})

test('a crowd of readers is bounded: every one gets the item or a 503 at once', async (t) => {
  const crowd = new HttpClient(t, { baseUrl: worker.baseUrl, connections: 600 })
  const ends = new Set<number | string>()
  const ask = async () => {
    process.kill(redis.pid(), 'SIGSTOP')
    const replies = Array.from({ length: 600 }, (_, n) => crowd.get(`/items/${sale}-${n + 1}`))
    const ended = replies.map((reply) =>
      reply.then(
        ({ status }) => ends.add(status),
        (error: unknown) => ends.add(String(error)),
      ),
    )
    const first = await Promise.race(replies).finally(() => process.kill(redis.pid(), 'SIGCONT'))
    await Promise.all(ended)
    assertProblem(first, 503, 'overloaded')
    return ends.has(200)
  }
  // As many get it as are read before their deadline, which on a busy machine may be none: then another crowd comes.
  await eventually(ask, { what: 'a crowd of which somebody gets the item' })
  assert.deepEqual(ends, new Set([200, 503]))
})

test('without Redis there are pictures and no states', async (t) => {
  const own = await startRedis(t)
  const lonely = await startHttpWorker(t, own, { env })
  const id = `${await currentSale(lonely)}-1`
  await own.stop()
  const gone = await lonely.http.get(`/items/${id}`)
  assertProblem(gone, 503, 'unavailable')
  assert.ok(Number(gone.headers['retry-after']) >= 1)
  assert.equal((await lonely.http.get(`/items/${id}/picture.svg`)).status, 200)
})

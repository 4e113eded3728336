// Goal: whoever looks at the board sees every change that Redis decided, whichever worker it came through, and a viewer
// that is slow, or late, or a log that is long gone, makes no difference to that.
// Method: real workers on one Redis, and viewers that follow the protocol as the page does.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Viewer } from '../bench/board/viewer.ts'
import { freePort } from '../core/free-port.ts'
import { BoardSocket } from '../server/worker/board/board-socket.ts'
import { App } from '../server/worker/http/uws.ts'
import { boardBufferedBytesMax, boardItemsMax, boardTickMsMax } from '../server/worker/limits.ts'
import { admitRun } from './helpers/admit-run.ts'
import { BoardView } from './helpers/board.ts'
import { eventually } from './helpers/eventually.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { checkout, currentSale, hold, purchase, release } from './helpers/items.ts'
import { startRedis } from './helpers/services.ts'

const redis = await startRedis({ after })
const items = 200
const env = {
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_ITEM_NUMBER: String(items),
  APP_USER_LIMIT: String(items),
  APP_HOLD_SECONDS: '600',
}
/** Serves what is the same for everybody. */
const pages = await startHttpWorker({ after }, redis, { env })

test('viewers of all workers see what any of them sold and holds, late ones as well', async (t) => {
  const [one, two] = await Promise.all([startHttpWorker(t, redis, { env }), startHttpWorker(t, redis, { env })])
  const sale = await currentSale(one)
  const code = await hold(one, 'ann', `${sale}-1`)
  await purchase(one, code)
  await hold(one, 'ann', `${sale}-2`)

  const views = [await BoardView.open(t, one.baseUrl), await BoardView.open(t, two.baseUrl)]
  for (const view of views) {
    await eventually(() => view.state(1) === 'sold' && view.state(2) === 'held', { what: 'what was there before' })
    // The first message is the state, and the last one may be a tick by now.
    assert.equal(view.heads[0]?.terms?.sale, sale)
  }
  const codes = await Promise.all([3, 4, 5].map((item) => hold(item === 4 ? two : one, 'ann', `${sale}-${item}`)))
  await eventually(() => views.every((view) => [3, 4, 5].every((item) => view.state(item) === 'held')))
  for (const each of codes) assert.equal((await purchase(two, each)).status, 200)
  await eventually(() => views.every((view) => [3, 4, 5].every((item) => view.state(item) === 'sold')))
  assert.deepEqual([views[0]?.count('state'), views[1]?.count('state')], [1, 1], 'the rest came as changes')
  assert.ok(views[0]?.heads.some((head) => head.purchasesPerSecond > 0 && head.holdsPerSecond >= 0))

  const late = await BoardView.open(t, two.baseUrl)
  await eventually(() => late.last)
  assert.deepEqual(late.states, views[0]?.states)
  const curve = late.heads[0]?.curve ?? []
  assert.equal(curve.at(-1), 4, 'the curve ends at what is sold')
  assert.equal(metricValue(await two.metrics(), 'hotcakes_board_viewers'), 2)
})

test('a hold that runs out frees its item on the board, though nothing happens in Redis', async (t) => {
  // Of a single item, so that the number of those that are held says which: it may be free again before this looks.
  const own = { ...env, APP_ITEM_NUMBER: '1', APP_HOLD_SECONDS: '1' }
  const worker = await startHttpWorker(t, await startRedis(t), { env: own })
  const sale = await currentSale(worker)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)
  await hold(worker, 'bob', `${sale}-1`)
  await eventually(() => view.heads.some(({ held }) => held === 1))
  await eventually(() => view.state(1) === 'available')
})

test('a hold that is given back frees its item on the board as a change, and is no purchase', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const sale = await currentSale(worker)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)
  const code = await hold(worker, 'gail', `${sale}-50`)
  await eventually(() => view.state(50) === 'held')
  const sold = view.last?.sold
  assert.equal((await release(worker, code)).status, 200)
  await eventually(() => view.state(50) === 'available')
  await hold(worker, 'hal', `${sale}-50`)
  await eventually(() => view.state(50) === 'held')
  assert.deepEqual([view.count('state'), view.last?.sold], [1, sold], 'it came as changes')
})

test('with nobody looking, Redis notes nothing', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env })
  const sale = await currentSale(worker)
  const noted = () => worker.store.redis.strlen(`${worker.store.keys.prefix}sale:${sale}:changes`)
  await hold(worker, 'ann', `${sale}-1`)
  assert.equal(await noted(), 0)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)
  await hold(worker, 'ann', `${sale}-2`)
  assert.equal(await noted(), 4)
  view.viewer.close()
  await eventually(async () => metricValue(await worker.metrics(), 'hotcakes_board_viewers') === 0)
})

test('when what was noted is gone, and when Redis was away, the viewers get the whole state anew', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env })
  const sale = await currentSale(worker)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)

  await worker.store.redis.hdel(worker.store.keys.sales, 'watched_since', 'watched_until')
  await hold(worker, 'ann', `${sale}-1`)
  await eventually(() => view.state(1) === 'held')
  assert.equal(view.count('state'), 2)

  await own.stop()
  await own.start()
  await admitRun(worker.store)
  await eventually(async () => (await checkout(worker, 'ann', `${sale}-2`)).status === 200)
  await eventually(() => view.state(2) === 'held')
  assert.equal(view.count('state'), 3)
})

test('a large sale counts all of its items and shows the first ones', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env: { ...env, APP_ITEM_NUMBER: '1000000' } })
  const sale = await currentSale(worker)
  const view = await BoardView.open(t, worker.baseUrl, { isWhole: false })
  await eventually(() => view.last)
  assert.equal(view.states.length, boardItemsMax)
  for (const item of [1, boardItemsMax, boardItemsMax + 1, 1_000_000]) await hold(worker, 'ann', `${sale}-${item}`)
  await eventually(() => view.last?.held === 4)
  assert.deepEqual([view.state(1), view.state(boardItemsMax)], ['held', 'held'])
})

test('a viewer that reads nothing is closed when much waits for it, and the others are not held up', async (t) => {
  const socket = new BoardSocket()
  let left = 0
  const app = App()
  socket.attach(app, { onJoin: () => undefined, onLeave: () => (left += 1), onClosed: () => undefined })
  t.after(() => app.close())
  const port = await freePort()
  await new Promise((resolve) => app.listen('127.0.0.1', port, resolve))
  const received = { slow: 0, live: 0 }
  const open = (name: 'slow' | 'live') =>
    Viewer.open(`http://127.0.0.1:${port}/board/feed`, ({ length }) => (received[name] += length))
  const [slow, live] = await Promise.all([open('slow'), open('live')])
  t.after(() => [slow, live].forEach((viewer) => viewer.close()))
  slow.pause()
  const message = Buffer.alloc(boardBufferedBytesMax / 2)
  let published = 0
  // The kernel takes some megabytes before the first one waits.
  await eventually(() => {
    if (left > 0) return true
    socket.publish(message)
    published += message.length
    return false
  })
  assert.ok(published < 32 * 2 ** 20, `${published} bytes were taken`)
  await eventually(() => received.live === published)
  assert.ok(!live.isClosed)
})

test('the page and its parts are served with their tags, and nothing of other origins may run in it', async () => {
  const page = await pages.http.get('/')
  assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8'])
  assert.match(
    String(page.headers['content-security-policy']),
    /^default-src 'none'; script-src 'self'; style-src 'self'/,
  )
  const parts = [...page.text.matchAll(/(?:href|src)="(\/board\/[^"]+)"/g)].map(([, path]) => path ?? '')
  assert.ok(parts.length > 0)
  for (const path of ['/', ...parts]) {
    const reply = await pages.http.get(path)
    assert.equal(reply.status, 200, path)
    const again = await pages.http.get(path, { headers: { 'If-None-Match': String(reply.headers['etag']) } })
    assert.deepEqual([again.status, again.text], [304, ''], path)
  }
})

test('parts are kept for ever under the name of their content, and a page of another version gets those that there are', async () => {
  const { http } = pages
  const { text } = await http.get('/')
  const parts = [...text.matchAll(/(?:href|src)="(\/board\/[^"]+)"/g)].map(([, path]) => path ?? '')
  const scripts = parts.filter((path) => path.endsWith('.mjs'))
  const modules = await Promise.all(scripts.map(async (path) => (await http.get(path)).text))
  const imported = modules.flatMap((script) =>
    [...script.matchAll(/from '\.\/([^']+)'/g)].map(([, name]) => name ?? ''),
  )
  assert.ok(imported.length > 10)
  for (const name of imported)
    assert.ok(parts.includes(`/board/${name}`), `${name} is fetched as soon as the page is there`)
  for (const path of parts) {
    const reply = await http.get(path)
    assert.equal(reply.headers['cache-control'], 'public, max-age=31536000, immutable', path)
    const other = path.replace(/\.[\w-]{10}(\.\w+)$/, '.0123456789$1')
    assert.notEqual(other, path)
    const stale = await http.get(other)
    assert.deepEqual([stale.status, stale.headers['cache-control'], stale.text], [200, 'no-cache', reply.text], other)
  }
  assert.equal((await http.get('/')).headers['cache-control'], 'no-cache')
  for (const path of ['/board/none.mjs', '/board/index.html', '/board/..%2Fboard.ts', '/board/'])
    assert.equal((await http.get(path)).status, 404, path)
})

test('texts are compressed for whoever takes it, each with a tag of its own', async () => {
  const { http, baseUrl } = pages
  const page = await http.get('/')
  const style = /href="(\/board\/board\.[^"]+)"/.exec(page.text)?.[1] ?? ''
  const font = /href="(\/board\/fraunces[^"]+)"/.exec(page.text)?.[1] ?? ''
  const raw = async (path: string, encoding: string, more: Record<string, string> = {}) => {
    const reply = await fetch(`${baseUrl}${path}`, { headers: { 'Accept-Encoding': encoding, ...more } })
    const [coding, vary, tag, length] = ['content-encoding', 'vary', 'etag', 'content-length'].map((name) => {
      return reply.headers.get(name)
    })
    return { status: reply.status, coding, vary, tag: String(tag), length: Number(length), text: await reply.text() }
  }
  for (const path of ['/', style]) {
    const plain = await raw(path, 'identity')
    const [br, gzip] = [await raw(path, 'gzip, br'), await raw(path, 'gzip')]
    assert.deepEqual([plain.coding, br.coding, gzip.coding], [null, 'br', 'gzip'], path)
    for (const each of [plain, br, gzip]) assert.equal(each.vary, 'Accept-Encoding')
    assert.deepEqual([br.text, gzip.text], [plain.text, plain.text])
    assert.ok(br.length < gzip.length && gzip.length < plain.length / 2, `${br.length} ${gzip.length} ${plain.length}`)
    assert.equal(new Set([plain.tag, br.tag, gzip.tag]).size, 3)
    for (const { tag } of [br, plain]) {
      const known = await raw(path, 'br', { 'If-None-Match': tag })
      assert.deepEqual([known.status, known.tag], [304, tag])
    }
    assert.equal((await raw(path, 'identity', { 'If-None-Match': br.tag })).status, 200)
  }
  assert.deepEqual([(await raw(font, 'br')).coding, (await raw(font, 'br')).vary], [null, null])
})

test('a page that has to ask gets the whole state, and the worker follows the sale while it does', async (t) => {
  const own = await startRedis(t)
  const worker = await startHttpWorker(t, own, { env })
  const sale = await currentSale(worker)
  await hold(worker, 'ann', `${sale}-3`)
  const poll = async () => {
    const reply = await fetch(`${worker.baseUrl}/board/state`)
    assert.deepEqual([reply.status, reply.headers.get('cache-control')], [200, 'no-store'])
    const message = Buffer.from(await reply.arrayBuffer())
    return JSON.parse(message.toString('utf8', 4, 4 + message.readUInt32LE(0))) as { held: number; type: string }
  }
  assert.deepEqual(await Promise.all([poll(), poll()]).then((all) => all.map(({ held }) => held)), [1, 1])
  await hold(worker, 'ann', `${sale}-4`)
  await eventually(async () => (await poll()).held === 2)
  await own.stop()
  await eventually(async () => {
    const { status, headers } = await fetch(`${worker.baseUrl}/board/state`)
    return status === 503 && Number(headers.get('retry-after')) > 0
  })
  worker.send({ type: 'drain' })
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
})

test('when the next hold ends is told where nothing else can be had, and only there', async (t) => {
  const worker = await startHttpWorker(t, await startRedis(t), { env: { ...env, APP_ITEM_NUMBER: '2' } })
  const sale = await currentSale(worker)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)
  await purchase(worker, await hold(worker, 'ann', `${sale}-1`))
  await eventually(() => view.last?.sold === 1)
  assert.equal(view.last?.holdEndsAt, undefined)
  const { json } = await checkout(worker, 'ann', `${sale}-2`)
  await eventually(() => view.last?.holdEndsAt !== undefined)
  const late = Number(view.last?.holdEndsAt) - Date.parse(String(json?.['expires_at']))
  assert.ok(late >= 0 && late <= boardTickMsMax * 10, `it is shown as ending ${late} ms late`)
  await purchase(worker, String(json?.['code']))
  await eventually(() => view.last?.sold === 2 && view.last.holdEndsAt === undefined)
})

test('a draining worker sends its viewers away', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)
  worker.send({ type: 'drain' })
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
  await eventually(() => view.viewer.isClosed)
})

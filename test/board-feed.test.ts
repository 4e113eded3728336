// Goal: whoever looks at the board sees every change that Redis decided, whichever worker it came through, and a viewer
// that is slow, or late, or a log that is long gone, makes no difference to that.
// Method: real workers on one Redis, and viewers that follow the protocol as the page does.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Viewer } from '../bench/board/viewer.ts'
import { freePort } from '../core/free-port.ts'
import { BoardSocket } from '../server/worker/board/board-socket.ts'
import { App } from '../server/worker/http/uws.ts'
import { boardBufferedBytesMax, boardItemsMax } from '../server/worker/limits.ts'
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

test('viewers of all workers see what any of them sold and holds, late ones as well', async (t) => {
  const [one, two] = await Promise.all([startHttpWorker(t, redis, { env }), startHttpWorker(t, redis, { env })])
  const sale = await currentSale(one)
  const code = await hold(one, 'ann', `${sale}-1`)
  await purchase(one, code)
  await hold(one, 'ann', `${sale}-2`)

  const views = [await BoardView.open(t, one.baseUrl), await BoardView.open(t, two.baseUrl)]
  for (const view of views) {
    await eventually(() => view.state(1) === 'sold' && view.state(2) === 'held', { what: 'what was there before' })
    assert.equal(view.last?.terms?.sale, sale)
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
  const worker = await startHttpWorker(t, await startRedis(t), { env: { ...env, APP_HOLD_SECONDS: '1' } })
  const sale = await currentSale(worker)
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)
  await hold(worker, 'bob', `${sale}-7`)
  await eventually(() => view.state(7) === 'held')
  await eventually(() => view.state(7) === 'available')
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

test('the page and its parts are served with their tags, and nothing of other origins may run in it', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const page = await worker.http.get('/')
  assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8'])
  assert.match(
    String(page.headers['content-security-policy']),
    /^default-src 'none'; script-src 'self'; style-src 'self'/,
  )
  const parts = [...page.text.matchAll(/(?:href|src)="(\/board\/[^"]+)"/g)].map(([, path]) => path ?? '')
  assert.ok(parts.length > 0)
  for (const path of ['/', ...parts]) {
    const reply = await worker.http.get(path)
    assert.equal(reply.status, 200, path)
    const again = await worker.http.get(path, { headers: { 'If-None-Match': String(reply.headers['etag']) } })
    assert.deepEqual([again.status, again.text], [304, ''], path)
  }
})

test('a draining worker sends its viewers away', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const view = await BoardView.open(t, worker.baseUrl)
  await eventually(() => view.last)
  worker.send({ type: 'drain' })
  assert.deepEqual(await worker.exited, { code: 0, signal: null })
  await eventually(() => view.viewer.isClosed)
})

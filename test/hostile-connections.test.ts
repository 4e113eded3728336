// Goal: nobody keeps others out, or takes the worker's memory, by opening connections, being silent, or being slow.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { keepAliveHintSeconds } from '../server/worker/limits.ts'
import { eventually } from './helpers/eventually.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { checkout, currentSale } from './helpers/items.ts'
import { openConnection, type RawConnection, requestText } from './helpers/raw-http.ts'
import type { Scope } from './helpers/scope.ts'
import { startRedis } from './helpers/services.ts'

const redis = await startRedis({ after })
const longSale = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
const perWorker = 50
const perAddress = 20
const worker = await startHttpWorker({ after }, redis, {
  env: {
    ...longSale,
    APP_WORKERS: '1',
    APP_CONNECTIONS_MAX: String(perWorker),
    APP_CONNECTIONS_PER_ADDRESS_MAX: String(perAddress),
  },
})
const live = requestText('GET', '/livez')

/** Opens them one after the other and says how many are open when the server has seen them all. */
async function openMany(scope: Scope, count: number, localAddress: string) {
  const connections: RawConnection[] = []
  for (let n = 0; n < count; n++) connections.push(await openConnection(scope, worker.port, localAddress))
  return connections
}

const openOnes = (connections: readonly RawConnection[]) => connections.filter(({ isClosed }) => !isClosed)

const refused = async (bound: string) =>
  metricValue(await worker.metrics(), 'hotcakes_http_connections_refused_total', { bound })

const open = async () => metricValue(await worker.metrics(), 'hotcakes_http_connections')

/** Of all connections so far: how many have come to the worker, and how many of those it has refused. */
async function seen() {
  const metrics = await worker.metrics()
  const total = (name: string) => metricValue(metrics, `hotcakes_http_connections_${name}_total`)
  return { came: total('accepted'), refused: total('refused') }
}

/** So many from each address. Resolves when the worker has them all, and those that are too many are closed. */
async function openCrowd(scope: Scope, count: number, addresses: readonly string[]): Promise<RawConnection[]> {
  const before = await seen()
  const crowd = (await Promise.all(addresses.map((from) => openMany(scope, count, from)))).flat()
  const isSettled = async () => {
    const { came, refused: tooMany } = await seen()
    const closed = crowd.length - openOnes(crowd).length
    return came - before.came === crowd.length && tooMany - before.refused === closed
  }
  await eventually(isSettled, { what: 'an end of those that are too many' })
  return crowd
}

async function assertServed(scope: Scope, localAddress: string, port = worker.port): Promise<void> {
  await eventually(async () => {
    const connection = await openConnection(scope, port, localAddress)
    await connection.send(live).catch(() => undefined)
    await eventually(() => connection.isClosed || connection.unread.startsWith('HTTP/1.1 200'))
    const isServed = !connection.isClosed
    connection.destroy()
    return isServed
  })
}

test('an address has as many connections as it may, and no other address notices', async (t) => {
  const greedy = await openCrowd(t, perAddress + 10, ['127.0.0.2'])
  const kept = openOnes(greedy).length
  assert.equal(await refused('address'), greedy.length - kept)
  // One that is in the kernel's table and not yet with the worker is counted twice for a moment: it may be some fewer.
  assert.ok(kept <= perAddress && kept > perAddress / 2, `${kept} of ${perAddress}`)
  await assertServed(t, '127.0.0.3')

  for (const connection of openOnes(greedy)) connection.destroy()
  await assertServed(t, '127.0.0.2')
})

test('a bound below the number of workers lets each address have a connection, one after the other, and no crowd', async (t) => {
  const workers = 4
  const strict = await startHttpWorker(t, redis, {
    env: { ...longSale, APP_WORKERS: String(workers), APP_CONNECTIONS_PER_ADDRESS_MAX: '1' },
  })
  for (let n = 0; n < 5; n++) await assertServed(t, '127.0.7.1', strict.port)
  const refusedThere = async () => metricValue(await strict.metrics(), 'hotcakes_http_connections_refused_total')
  const before = await refusedThere()
  const crowd: RawConnection[] = []
  // Of a crowd that is in the kernel's table before the worker has its first one, none gets in: then another one comes.
  const isOneServed = async () => {
    if (openOnes(crowd).length === 0)
      for (let n = 0; n < 20; n++) crowd.push(await openConnection(t, strict.port, '127.0.7.2'))
    const [only, ...others] = openOnes(crowd)
    if (only === undefined || others.length > 0) return false
    await only.send(live).catch(() => undefined)
    await eventually(() => only.isClosed || only.unread.startsWith('HTTP/1.1 200'))
    return !only.isClosed
  }
  await eventually(isOneServed, { what: 'one of a crowd' })
  assert.equal((await refusedThere()) - before, crowd.length - 1)
  await assertServed(t, '127.0.7.3', strict.port)
})

test('a worker has as many connections as it may, serves those, and takes others when they are gone', async (t) => {
  // From so many addresses that there are too many, also where each gets in with a few less than it may have.
  const crowd = await openCrowd(t, perAddress, ['127.0.1.1', '127.0.1.2', '127.0.1.3', '127.0.1.5', '127.0.1.6'])
  assert.ok((await refused('worker')) > 0)
  assert.ok(openOnes(crowd).length <= perWorker, `${openOnes(crowd).length} of ${perWorker}`)
  for (const connection of openOnes(crowd)) {
    await connection.send(live)
    assert.equal((await connection.reply()).status, 200)
  }
  for (const connection of crowd) connection.destroy()
  await assertServed(t, '127.0.1.4')
})

test('a viewer of the board counts as a connection until it goes, and no longer', async (t) => {
  await eventually(async () => (await open()) === 0, { what: 'an end of the connections of before' })
  const upgrade = requestText('GET', '/board/feed', [
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ])
  const viewers = await openMany(t, 5, '127.0.4.1')
  for (const viewer of viewers) await viewer.send(upgrade)
  await eventually(() => viewers.every(({ unread }) => unread.startsWith('HTTP/1.1 101 ')))
  assert.equal(await open(), viewers.length)
  for (const viewer of viewers) viewer.destroy()
  await eventually(async () => (await open()) === 0)
})

// At once: each waits for seconds until uWebSockets.js closes what is idle.
describe('idle connections', { concurrency: true }, () => {
  test('a client that is silent, or sends a byte at a time, is closed, and no byte of it buys more time', async (t) => {
    const trickle = 'POST /checkout HTTP/1.1\r\nHost: test\r\nX-Slow: '
    const started = {
      silent: '',
      'silent after an answer': live,
      'in the middle of a line': 'GET /livez HT',
      'a header that does not end': trickle,
      'the same after an answer': `${live}${trickle}`,
      'a line that is no header': 'GET /livez HTTP/1.1\r\nHost: test\r\nno header\r\n\r\n',
      'a folded header': 'GET /livez HTTP/1.1\r\nHost: test\r\nA: b\r\n c\r\n\r\n',
      'a header with a space in its name': 'GET /livez HTTP/1.1\r\nHost : test\r\n\r\n',
      'a NUL in a header': 'GET /livez HTTP/1.1\r\nHost: te\0st\r\n\r\n',
      'an empty line first': `\r\n${live}`,
      'HTTP/0.9': 'GET /livez\r\n\r\n',
    }
    const slow = await Promise.all(
      Object.entries(started).map(async ([what, text], n) => {
        const connection = await openConnection(t, worker.port, `127.0.2.${n + 1}`)
        await connection.send(text)
        return { what, connection }
      }),
    )
    const trickling = setInterval(() => {
      for (const { what, connection } of slow) {
        if (what.includes('header that') || what.includes('same after')) connection.send('a').catch(() => undefined)
      }
    }, 100)
    t.after(() => clearInterval(trickling))
    // uWebSockets.js counts in steps of 4 s up to its 10 s.
    await eventually(() => slow.every(({ connection }) => connection.isClosed), { what: 'closed connections' })
    for (const { what, connection } of slow) {
      const answers = connection.unread.match(/HTTP\/1\.1 200/g)?.length ?? 0
      assert.equal(answers, what.includes('answer') ? 1 : 0, what)
    }
    assert.equal((await worker.http.get('/livez')).status, 200)
  })

  test('an idle connection is kept for as long as its answer says, at the least', async (t) => {
    const kept: Promise<number>[] = []
    // At every place in the steps in which uWebSockets.js counts.
    for (let n = 0; n < 20; n++) {
      const connection = await openConnection(t, worker.port, `127.0.3.${n + 1}`)
      const sentMs = performance.now()
      await connection.send(live)
      assert.equal((await connection.reply()).headers['keep-alive'], `timeout=${keepAliveHintSeconds}`)
      const isClosed = eventually(() => connection.isClosed, { deadlineMs: 30_000, what: 'a closed connection' })
      kept.push(isClosed.then(() => performance.now() - sentMs))
      await delay(200)
    }
    const shortestMs = Math.min(...(await Promise.all(kept)))
    assert.ok(shortestMs >= keepAliveHintSeconds * 1_000, `${shortestMs} ms`)
  })

  test('thousands of idle connections cost nobody an answer, and are closed', async (t) => {
    const usual = await startHttpWorker(t, redis, { env: longSale })
    const openAtUsual = async () => metricValue(await usual.metrics(), 'hotcakes_http_connections')
    const atOnce = 250 // all of them before the first is closed, also on a busy machine
    for (const from of ['127.0.5.1', '127.0.5.2', '127.0.5.3']) {
      for (let n = 0; n < 1_000; n += atOnce) {
        await Promise.all(Array.from({ length: atOnce }, () => openConnection(t, usual.port, from)))
      }
    }
    assert.ok((await openAtUsual()) > 2_000)
    const sale = await currentSale(usual)
    for (let n = 1; n <= 50; n++) assert.equal((await checkout(usual, `idle-${n}`, `${sale}-${n}`)).status, 200)
    await eventually(async () => (await openAtUsual()) < 10, { what: 'closed connections' })
  })
})

test('a client that asks and does not read is closed before its answers fill the memory', async (t) => {
  const rssMb = () =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${worker.process.pid}/status`, 'latin1'))?.[1]) / 1_024
  const before = rssMb()
  const many = live.repeat(1_000)
  const deaf = await openMany(t, 10, '127.0.3.1')
  for (const connection of deaf) {
    connection.pause()
    for (let n = 0; n < 200; n++) connection.send(many).catch(() => undefined)
  }
  // A socket that is not read from notices its end only sometimes, so the server is asked.
  await eventually(async () => (await open()) <= 1, { what: 'closed connections' })
  assert.ok(rssMb() - before < 100, `${before} MB -> ${rssMb()} MB`)
  assert.equal((await worker.http.get('/livez')).status, 200)
})

// Goal: a crowd that connects keeps nobody waiting who is connected, and none of it is lost. The server and its clients share this
// process: what clients have connected and sent in one turn of the event loop, the server finds all at once in the next.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'

import { freePort } from '../core/free-port.ts'
import { Connections } from '../server/worker/http/connections.ts'
import { HttpServer, routeLabels } from '../server/worker/http/http-server.ts'
import { Phase } from '../server/worker/http/phase.ts'
import { RequestMetrics } from '../server/worker/http/request-metrics.ts'
import { TurnClock } from '../server/worker/http/turn-clock.ts'
import { connectionsBegunPerTurnMax } from '../server/worker/limits.ts'
import { eventually } from './helpers/eventually.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'

/** Fewer than the kernel queues for a socket that listens. */
const crowd = 300
const buyers = 64

/** A server that says for each turn which paths were asked for in it. */
async function serving(t: TestContext) {
  const turns: string[][] = []
  let current: string[] | undefined
  const seen = (path: string): void => {
    if (current === undefined) {
      current = []
      turns.push(current)
      setImmediate(() => {
        current = undefined
      })
    }
    current.push(path)
  }
  const path = '/asked/:who'
  const registry = new Registry()
  const connections = new Connections(registry, { max: 2 * crowd, addresses: undefined })
  const server = new HttpServer({
    routes: [
      {
        path,
        method: 'GET',
        handle: (exchange) => {
          seen(exchange.parameter)
          exchange.problem('item_unknown')
        },
      },
    ],
    metrics: new RequestMetrics(registry, routeLabels([{ path }])),
    clock: new TurnClock(),
    phase: new Phase(),
    connections,
    rateLimit: undefined,
    cors: undefined,
  })
  const port = await freePort()
  await server.listen('127.0.0.1', port)
  t.after(() => server.stop(0))
  const valueOf = async (name: string): Promise<number> =>
    ((await registry.getSingleMetric(name)?.get())?.values ?? []).reduce((sum, { value }) => sum + value, 0)
  return { port, server, turns, connections, valueOf }
}

/** Connects and asks, without waiting for anything. */
function ask(t: TestContext, port: number, who: string): { socket: Socket; text: () => string } {
  let received = ''
  const socket = connect({ host: '127.0.0.1', port })
  t.after(() => void socket.destroy())
  socket.setEncoding('latin1').on('data', (text: string) => (received += text))
  socket.on('error', () => undefined) // who is not answered is noticed
  socket.write(requestText('GET', `/asked/${who}`))
  return { socket, text: () => received }
}

test('of a crowd that connects at once few are read in a turn, and all are answered', async (t) => {
  const { port, turns, valueOf } = await serving(t)
  const clients = Array.from({ length: crowd }, (_, n) => ask(t, port, `new-${n}`))
  await eventually(() => clients.every(({ text }) => text().startsWith('HTTP/1.1 404')))
  const largest = Math.max(...turns.map(({ length }) => length))
  assert.ok(largest <= connectionsBegunPerTurnMax, `${largest} in one turn`)
  assert.equal(await valueOf('hotcakes_http_connections_accepted_total'), crowd)
  assert.equal(await valueOf('hotcakes_http_connections_waiting'), 0)
  assert.equal(await valueOf('hotcakes_http_connections_refused_total'), 0)
})

test('a kept connection is read in each turn while a crowd comes in', async (t) => {
  const { port, turns } = await serving(t)
  const kept = ask(t, port, 'kept')
  await eventually(() => kept.text() !== '')
  kept.socket.on('data', () => kept.socket.write(requestText('GET', '/asked/kept')))
  kept.socket.write(requestText('GET', '/asked/kept'))
  const clients = Array.from({ length: crowd }, (_, n) => ask(t, port, `new-${n}`))
  await eventually(() => clients.every(({ text }) => text() !== ''))
  const beside = turns.filter((turn) => turn.includes('kept') && turn.some((who) => who.startsWith('new')))
  // Every other turn at best: the client shares the event loop and sends in the turn after its answer.
  assert.ok(beside.length >= crowd / connectionsBegunPerTurnMax / 4, `in ${beside.length} turns`)
})

test('buyers on kept connections have most of the answers beside a flood that connects for each request', async (t) => {
  const { port, turns } = await serving(t)
  const keepAsking = (): void => {
    const { socket } = ask(t, port, 'kept')
    socket.on('data', () => socket.write(requestText('GET', '/asked/kept')))
  }
  let isOver = false
  t.after(() => (isOver = true))
  const keepConnecting = (): void => {
    if (isOver) return
    const { socket } = ask(t, port, 'new')
    socket.on('data', () => socket.resetAndDestroy()).on('close', keepConnecting)
  }
  for (let n = 0; n < buyers; n++) keepAsking()
  const keptAnswers = (): number => turns.flat().filter((who) => who === 'kept').length
  await eventually(() => keptAnswers() >= buyers)
  turns.length = 0
  for (let n = 0; n < crowd; n++) keepConnecting()
  await eventually(() => turns.flat().length >= 10 * crowd)
  const share = keptAnswers() / turns.flat().length
  t.diagnostic(`${(100 * share).toFixed(0)} % of the answers`)
  assert.ok(share > 0.5, `${share}`)
})

test('a server that drains answers all that waited to begin', async (t) => {
  const { port, server, valueOf } = await serving(t)
  const clients = Array.from({ length: crowd }, (_, n) => ask(t, port, `new-${n}`))
  await eventually(async () => (await valueOf('hotcakes_http_connections_accepted_total')) === crowd)
  await server.drain()
  await eventually(() => clients.every(({ text }) => text().startsWith('HTTP/1.1 404')))
})

test('clients that leave while they wait to begin harm nobody', async (t) => {
  const { port, connections, valueOf } = await serving(t)
  for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
    const clients = Array.from({ length: crowd }, (_, n) => ask(t, port, `leaver-${n}`))
    const accepted = await valueOf('hotcakes_http_connections_accepted_total')
    await eventually(async () => (await valueOf('hotcakes_http_connections_accepted_total')) > accepted)
    for (const { socket } of clients) socket[leave]()
    await eventually(() => connections.open === 0)
    // The turns of those that are gone come all the same.
    const isNobodyWaiting = async () => (await valueOf('hotcakes_http_connections_waiting')) === 0
    await eventually(isNobodyWaiting, { what: `an end of those that wait, after ${leave}` })
  }
  const stayer = await openConnection(t, port)
  await stayer.send(requestText('GET', '/asked/stayer'))
  assert.equal((await stayer.reply()).status, 404)
})

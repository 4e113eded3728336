import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Registry } from 'prom-client'

import { freePort } from '../core/free-port.ts'
import type { Identity } from '../server/worker/buyers/identity.ts'
import type { NewToken } from '../server/worker/buyers/signed-buyers.ts'
import { Connections } from '../server/worker/http/connections.ts'
import type { Exchange } from '../server/worker/http/exchange.ts'
import { HttpServer, type HttpServerOptions, type Route, routeLabels } from '../server/worker/http/http-server.ts'
import { Phase } from '../server/worker/http/phase.ts'
import { noContentHead } from '../server/worker/http/replies.ts'
import { RequestMetrics } from '../server/worker/http/request-metrics.ts'
import { staticFile } from '../server/worker/http/static-file.ts'
import { TurnClock } from '../server/worker/http/turn-clock.ts'
import { drainCheckMs, drainIdleMs, keyWaitMsMax, largeFileBurstBytes } from '../server/worker/limits.ts'
import { AnsweredCommand } from '../server/worker/selling/answered-command.ts'
import type { Shard } from '../server/worker/selling/shard.ts'
import { eventually } from './helpers/eventually.ts'
import { assertProblem } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import { standStill } from './helpers/stand-still.ts'

async function serve(t: TestContext, route: Route): Promise<number> {
  return (await serving(t, route)).port
}

async function serving(
  t: TestContext,
  route: Route,
  options: Partial<HttpServerOptions> = {},
): Promise<{ port: number; server: HttpServer; registry: Registry }> {
  const registry = new Registry()
  const server = new HttpServer({
    routes: [route],
    metrics: new RequestMetrics(registry, routeLabels([route])),
    clock: new TurnClock(),
    phase: new Phase(),
    connections: new Connections(registry, { max: 10, addresses: undefined }),
    rateLimit: undefined,
    cors: undefined,
    ...options,
  })
  const port = await freePort()
  await server.listen('127.0.0.1', port)
  t.after(() => server.stop(0))
  return { port, server, registry }
}

test('who is turned away gets a problem, and to a HEAD its headers alone', async (t) => {
  const port = await serve(t, {
    path: '/busy',
    method: 'GET',
    refusal: () => 'overloaded',
    handle: (exchange) => exchange.shed('overloaded'),
  })
  const connection = await openConnection(t, port)
  await connection.send(requestText('GET', '/busy'))
  assertProblem(await connection.reply(), 503, 'overloaded')
  await connection.send(requestText('HEAD', '/busy'))
  await eventually(() => connection.unread.includes('\r\n\r\n'))
  await connection.send(requestText('GET', '/nothing'))
  await eventually(() => connection.unread.includes('404 Not Found'))
  assert.match(connection.unread, /^HTTP\/1\.1 503 [^{]*\r\n\r\nHTTP\/1\.1 404 /)
})

const busyRoute: Route = {
  path: '/busy',
  method: 'POST',
  refusal: () => 'overloaded',
  handle: (exchange) => exchange.problem('route_unknown'),
}

test('a crowd that is turned away waits for its answers, but not when the server stops', async (t) => {
  const { port, server } = await serving(t, busyRoute)
  const connections = await Promise.all(Array.from({ length: 10 }, () => openConnection(t, port)))
  // Otherwise the first may have their answers before the last have come.
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const connection of connections) await connection.send(requestText('POST', '/busy'))
  while (server.refusalsWaiting < connections.length) await nextTurn()
  const stopped = server.stop(60_000)
  t.mock.timers.reset()
  assert.equal(server.refusalsWaiting, 0)
  for (const connection of connections) assert.equal((await connection.reply()).status, 503)
  await stopped
})

test('a client that leaves while its refusal waits harms nobody', async (t) => {
  const { port, server } = await serving(t, busyRoute)
  const [leaver, stayer] = [await openConnection(t, port), await openConnection(t, port)]
  await leaver.send(requestText('POST', '/busy'))
  leaver.destroy()
  await stayer.send(requestText('POST', '/busy'))
  assertProblem(await stayer.reply(), 503, 'overloaded')
  await eventually(() => server.refusalsWaiting === 0)
})

const emptyRoute: Route = { path: '/', method: 'GET', handle: (exchange) => exchange.answer(noContentHead('GET'), '') }

test('whoever asked while a draining server stood still is answered', async (t) => {
  const { port, server } = await serving(t, emptyRoute)
  const connection = await openConnection(t, port)
  const drained = server.drain()
  await connection.send(requestText('GET', '/'))
  standStill(drainIdleMs + drainCheckMs)
  assert.equal((await connection.reply()).status, 204)
  await drained
})

test('whoever has connected before a server retires is answered, though it has not looked since', async (t) => {
  const { port, server } = await serving(t, emptyRoute)
  const connecting = openConnection(t, port)
  await new Promise<void>((resolve) => process.nextTick(resolve)) // that is when the socket connects
  const retired = server.retire()
  const connection = await connecting
  await connection.send(requestText('GET', '/'))
  assert.equal((await connection.reply()).status, 204)
  await retired
})

test('a large file is sent so often at once, and who has it gets its 304 nevertheless', async (t) => {
  const handle = staticFile(Buffer.alloc(largeFileBurstBytes), { mediaType: 'image/png', contentSecurityPolicy: '' })
  const port = await serve(t, { path: '/large', method: 'GET', isTagged: true, handle })
  const url = `http://127.0.0.1:${port}/large`
  // All of the burst: a HEAD takes of it what a GET does, and leaves the bytes where they are.
  const first = await fetch(url, { method: 'HEAD' })
  assert.deepEqual([first.status, first.headers.get('content-length')], [200, String(largeFileBurstBytes)])
  assert.equal((await fetch(url)).status, 503)
  assert.equal((await fetch(url, { headers: { 'If-None-Match': first.headers.get('etag') ?? '' } })).status, 304)
})

/** Goes on when the test says so. */
class SteppedClock extends TurnClock {
  ms = 0

  override now(): number {
    return this.ms
  }
}

class Command extends AnsweredCommand {
  readonly sale = 1
  readonly index = '1'
  readonly nonce = ''
  readonly user = ''
  decided(): void {}
}

test('the deadline of who had to wait for keys begins when his token was verified, and his answer is measured from his arrival', async (t) => {
  const clock = new SteppedClock()
  const waiting: NewToken[] = []
  const identityOfBob = {} as Identity
  const buyers = {
    known: (authorization: string) => (authorization === 'bob' ? identityOfBob : undefined),
    check: (request: NewToken) => void waiting.push(request),
    refusal: () => undefined,
  }
  const commands: Command[] = []
  const handle = (exchange: Exchange) => {
    commands.push(new Command(exchange, {} as Shard))
    exchange.answer(noContentHead('POST'), '')
  }
  const route: Route = { path: '/checkout', method: 'POST', isOfBuyer: true, handle }
  const { port, registry } = await serving(t, route, { clock, buyers })
  const [ann, bob] = [await openConnection(t, port), await openConnection(t, port)]
  await ann.send(requestText('POST', '/checkout', ['Authorization: ann']))
  await eventually(() => waiting.length === 1)
  clock.ms = keyWaitMsMax
  await bob.send(requestText('POST', '/checkout', ['Authorization: bob']))
  assert.equal((await bob.reply()).status, 204)
  clock.ms += 1
  waiting[0]?.onIdentity({} as Identity)
  assert.equal((await ann.reply()).status, 204)
  assert.deepEqual(
    commands.map(({ arrivedMs }) => arrivedMs),
    [keyWaitMsMax, keyWaitMsMax + 1],
    'in the order in which they are offered',
  )
  const durations = await registry.getSingleMetricAsString('hotcakes_http_request_duration_seconds')
  const sum = /_sum\{[^}]*route="\/checkout"[^}]*\} (\S+)/.exec(durations)?.[1]
  assert.equal(Number(sum), (keyWaitMsMax + 1) / 1_000)
})

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'

import { freePort } from '../ops/embedded/free-port.ts'
import { Connections } from '../server/worker/http/connections.ts'
import { HttpServer, type Route, routeLabels } from '../server/worker/http/http-server.ts'
import { Phase } from '../server/worker/http/phase.ts'
import { RequestMetrics } from '../server/worker/http/request-metrics.ts'
import { TurnClock } from '../server/worker/http/turn-clock.ts'
import { eventually } from './helpers/eventually.ts'
import { assertProblem } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'

async function serve(t: TestContext, route: Route): Promise<number> {
  const registry = new Registry()
  const server = new HttpServer({
    routes: [route],
    metrics: new RequestMetrics(registry, routeLabels([route])),
    clock: new TurnClock(),
    phase: new Phase(),
    connections: new Connections(registry, { max: 10, addresses: undefined }),
    rateLimit: undefined,
    cors: undefined,
  })
  const port = await freePort()
  await server.listen('127.0.0.1', port)
  t.after(() => server.stop(0))
  return port
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

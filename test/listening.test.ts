// Goal: the server is reached at the address that `localhost` is, whichever family a client begins with, and a client that
// comes over a socket of both families is still told apart from others.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, test } from 'node:test'

import { freePort } from '../core/free-port.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { openConnection, type RawConnection, requestText } from './helpers/raw-http.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const redis = await startRedis({ after })
const loopbacks = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ internal }) => internal)
const skip = loopbacks.some(({ address }) => address === '::1') ? false : 'this machine has no ::1'
const longSale = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }

/** On a connection of its own: ports are used again, and one that is kept could lead to a server that is gone. */
const statusAt = async (url: string) => (await fetch(url, { headers: { connection: 'close' } })).status

test('by default API and metrics are served at 127.0.0.1 and at ::1, and the port is taken in both', {
  skip,
}, async (t) => {
  const [own, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const services = servicesEnv({ redis: own.connection, db: postgres.connection })
  const first = await startCluster(t, { env: { ...services, ...longSale, APP_HOST: '', APP_WORKERS: '1' } })
  const { APP_PORT = '', APP_METRICS_PORT } = first.env
  for (const host of ['127.0.0.1', '[::1]', 'localhost']) {
    assert.equal(await statusAt(`http://${host}:${APP_PORT}/livez`), 200, host)
    assert.equal(await statusAt(`http://${host}:${APP_METRICS_PORT}/metrics`), 200, host)
  }
  for (const APP_HOST of ['::1', '127.0.0.1']) {
    const second = await startCluster(t, { awaitReady: false, env: { APP_PORT, APP_HOST } })
    assert.equal((await second.exited).code, 1)
    assert.ok(
      second.logLines().some((line) => line.includes('HC_PORT_IN_USE')),
      APP_HOST,
    )
  }
})

test('a port that another program has on one family is not taken on the other', { skip }, async (t) => {
  const other = createServer()
  // One that the system chooses here may be somebody's on the other family.
  const port = await freePort()
  other.listen({ host: '::1', port })
  await once(other, 'listening')
  t.after(() => other.close())
  const cluster = await startCluster(t, { awaitReady: false, env: { APP_HOST: 'localhost', APP_PORT: String(port) } })
  assert.equal((await cluster.exited).code, 1)
  assert.ok(cluster.logLines().some((line) => line.includes(`another process listens on [::1]:${port}`)))
})

test('on a socket of both families each IPv4 client has bounds of its own', { skip }, async (t) => {
  const perAddress = 3
  const perSecond = 5
  const worker = await startHttpWorker(t, redis, {
    env: {
      ...longSale,
      APP_HOST: '::',
      APP_WORKERS: '1',
      APP_CONNECTIONS_PER_ADDRESS_MAX: String(perAddress),
      APP_RATE_LIMIT_PER_SECOND: String(perSecond),
    },
  })
  const greedy: RawConnection[] = []
  for (let n = 0; n < 2 * perAddress; n++) greedy.push(await openConnection(t, worker.port, '127.0.0.2'))
  await eventually(() => greedy.filter(({ isClosed }) => !isClosed).length <= perAddress)

  const served = await openConnection(t, worker.port, '127.0.0.3')
  const statuses: number[] = []
  for (let n = 0; n < perSecond * 20; n++) {
    await served.send(requestText('GET', '/nothing'))
    statuses.push((await served.reply()).status)
  }
  assert.deepEqual(new Set(statuses), new Set([404, 429]))
  for (const [url, status] of [
    [`http://127.0.0.1:${worker.port}/nothing`, 404],
    [`http://[::1]:${worker.port}/nothing`, 404],
  ] as const) {
    assert.equal(await statusAt(url), status, url)
  }
})

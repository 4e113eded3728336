// Goal: behind each proxy that docs/PROXIES.md has lines for, every request gets its answer, whatever its connection and
// the workers go through.
// Method: the real proxies from the system's packages, with exactly these lines.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import type { Postgres } from '../core/postgres/connection.ts'
import { BoardView } from './helpers/board.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient, type HttpReply } from './helpers/http-client.ts'
import { checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { Ledger } from './helpers/ledger.ts'
import { isWhole, onePid, scrape } from './helpers/metrics.ts'
import { type Proxy, proxyNames, startProxy } from './helpers/proxy.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import { openPostgres } from './helpers/record.ts'
import type { Scope } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const origin = 'https://shop.example.com'
const items = 200_000
/** Those before it are for tests of a single request. */
const firstItem = 10
/** Machines that run tests are busy: far above what anything here takes. */
const deadlineMs = 120_000
const [redis, postgres] = await Promise.all([startRedis({ after }), startPostgres({ after })])
const cluster = await startCluster(
  { after },
  {
    env: {
      ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
      APP_ITEM_NUMBER: String(items),
      APP_CONNECTIONS_PER_ADDRESS_MAX: '0',
      APP_ALLOWED_ORIGINS: origin,
      UWS_HTTP_MAX_HEADERS_SIZE: '6000',
      // A busy machine is not what is tested here.
      APP_DEADLINE_MS: '10000',
      APP_HEARTBEAT_SECONDS: '60',
    },
  },
)
const proxies = await Promise.all(proxyNames.map((name) => startProxy({ after }, name, cluster.env['APP_PORT'] ?? '')))
const sale = await currentSale(cluster)

for (const proxy of proxies) {
  const { name, http, baseUrl } = proxy

  test(`${name} speaks HTTP/1.1 with the server, also for a client that doesn't`, async (t) => {
    assert.equal((await http.get('/sale')).json?.['id'], sale)
    const old = await openConnection(t, Number(new URL(baseUrl).port))
    await old.send('GET /livez HTTP/1.0\r\nHost: test\r\n\r\n')
    await eventually(() => old.unread !== '')
    assert.match(old.unread, name === 'HAProxy' ? /^HTTP\/1.. 505 / : /^HTTP\/1.. 200 /)
    const modern = await openConnection(t, Number(new URL(baseUrl).port))
    await modern.send(requestText('POST', checkoutPath(`one-${name}`, `${sale}-1`), ['Content-Length: 0']))
    assert.ok([200, 409].includes((await modern.reply()).status))
  })

  test(`${name} passes on what the server says, and no cookies to it`, async () => {
    const headers = { Origin: origin, Cookie: `session=${'x'.repeat(7_000)}` }
    const unknown = await http.post('/purchase?code=x', { headers })
    assert.deepEqual([unknown.status, unknown.json?.['code']], [400, 'invalid_request'])
    assert.equal(unknown.headers['content-type'], 'application/problem+json')
    assert.equal(unknown.headers['access-control-allow-origin'], origin)
    const preflight = await http.send('OPTIONS', '/checkout', { headers: { Origin: origin } })
    assert.deepEqual([preflight.status, preflight.headers['access-control-max-age']], [204, '7200'])
    // What is no cookie counts, up to what UWS_HTTP_MAX_HEADERS_SIZE says.
    assert.equal((await http.get('/livez', { headers: { 'X-Large': 'x'.repeat(5_000) } })).status, 200)
    assert.equal((await http.get('/livez', { headers: { 'X-Large': 'x'.repeat(6_500) } })).status, 431)
  })

  test(`through ${name} the board is fed`, async (t) => {
    const board = await BoardView.open(t, baseUrl)
    await eventually(() => board.count('state') === 1 && board.count('tick') >= 2)
  })
}

/** 4 times 500 requests through each proxy: a buyer of each group pauses between them for one of these times. */
const pausesMs = [7_000, 8_250, 9_500, 10_750, 12_000]
const patientBuyers = 500
const patientRounds = 4
/** So many that some of their requests lie with each worker at any moment. */
const busyBuyers = 24
const busyPauseMs = 600
/** A scrape asks every process, and a look at the record reads all of it. */
const pollMs = 250

/** Buyers behind the proxies: everything that they ask for must be answered 200. */
class Buyers {
  readonly ledger = new Ledger()
  /** How many requests wait for their answer. */
  readonly waiting = new Map(proxies.map((proxy) => [proxy, 0]))
  checkouts = 0
  purchases = 0

  /** Checks out and purchases by turns over one connection, for as long as `pause` gives true between two requests. */
  async buy(scope: Scope, proxy: Proxy, pause: (round: number) => Promise<boolean>): Promise<void> {
    // The proxies keep it far longer than a pause is.
    const client = new HttpClient(scope, { baseUrl: proxy.baseUrl, connections: 1, idleMsMax: 0 })
    let code: string | undefined
    for (let round = 0; round === 0 || (await pause(round)); round++) {
      if (code === undefined) {
        this.checkouts += 1
        const n = this.checkouts
        code = codeOf(await this.#ask(client, proxy, checkoutPath(`user-${n}`, `${sale}-${firstItem + n}`)))
      } else {
        await this.#ask(client, proxy, purchasePath(code))
        this.purchases += 1
        code = undefined
      }
    }
    client.close()
  }

  async #ask(client: HttpClient, proxy: Proxy, path: string): Promise<HttpReply> {
    this.waiting.set(proxy, (this.waiting.get(proxy) ?? 0) + 1)
    const reply = await client.post(path).catch((error: unknown) => {
      throw new Error(`${proxy.name} gave no answer to ${path}`, { cause: error })
    })
    this.waiting.set(proxy, (this.waiting.get(proxy) ?? 0) - 1)
    assert.equal(reply.status, 200, `${proxy.name}: ${reply.text}`)
    this.ledger.answered(path.startsWith('/checkout') ? 'checkout' : 'purchase', reply)
    return reply
  }

  /** That every answer is on record, and nothing but these and repetitions of them. */
  assertRecorded(record: Postgres): Record<string, number> {
    type Row = { place: string; outcome: string }
    const rows = record.query<Row>(
      `select epoch || '-' || batch || '-' || n as place, outcome from attempts where user_id like 'user-%'`,
    )
    const places = new Set(rows.map(({ place }) => place))
    for (const place of this.ledger.decided.keys()) assert.ok(places.has(place), `${place} is on record`)
    const counts: Record<string, number> = {}
    for (const { outcome } of rows) counts[outcome] = (counts[outcome] ?? 0) + 1
    const { held_again: _held, purchased_again: _purchased, ...first } = counts
    assert.deepEqual(first, { held: this.checkouts, purchased: this.purchases })
    return counts
  }
}

/** A reload while the buyers buy, and then the death of a worker that has requests of every proxy. */
async function disturb(scope: Scope, buyers: Buyers): Promise<void> {
  const metrics = new HttpClient(scope, { baseUrl: cluster.metricsUrl })
  await eventually(() => buyers.ledger.requests > proxies.length * patientBuyers, {
    deadlineMs,
    what: 'the first round',
  })
  process.kill(cluster.pid, 'SIGHUP')
  const isReloaded = async () => {
    const now = await scrape(metrics)
    return now.value('hotcakes_reloads_total{result="done"}') === 1 && isWhole(now) ? now : undefined
  }
  const victim = onePid((await eventually(isReloaded, { deadlineMs, pollMs, what: 'the reload' })).pids('http'))
  // Stopped first, so that there is something under way in it when it dies.
  process.kill(victim, 'SIGSTOP')
  const isHit = () => [...buyers.waiting.values()].every((count) => count > busyBuyers / 4)
  await eventually(isHit, { deadlineMs, what: 'requests of every proxy in the worker' })
  process.kill(victim, 'SIGKILL')
  const isReplaced = async () => (await scrape(metrics)).restarts('http') === 1
  await eventually(isReplaced, { deadlineMs, pollMs, what: 'a new worker' })
}

test('with pauses as long as the server waits, a reload and a killed worker, every request is answered once', async (t) => {
  const buyers = new Buyers()
  const over = new AbortController()
  const patient = (group: number) => async (round: number) => {
    if (round === patientRounds) return false
    await delay(pausesMs[(group + round) % pausesMs.length])
    return !over.signal.aborted
  }
  const busy = async () => {
    await delay(busyPauseMs)
    return !over.signal.aborted
  }
  const each = (count: number, pause: (n: number) => (round: number) => Promise<boolean>) =>
    proxies.flatMap((proxy) => Array.from({ length: count }, (_, n) => buyers.buy(t, proxy, pause(n))))
  const others = each(busyBuyers, () => busy)
  const all = Promise.all([...each(patientBuyers, patient), disturb(t, buyers)])
  await Promise.all([all.finally(() => over.abort()), ...others])

  const { ledger, checkouts, purchases } = buyers
  assert.deepEqual([ledger.requests, ledger.undecidedCount], [checkouts + purchases, 0])
  const record = openPostgres(t, postgres.connection)
  const outcomes = await eventually(() => buyers.assertRecorded(record), { deadlineMs, pollMs, what: 'the record' })
  t.diagnostic(`${ledger.requests} answers; rows by outcome: ${JSON.stringify(outcomes)}`)
})

test('without Redis each proxy passes on a 503 and when to come back, also when it asks nobody any more', async () => {
  await redis.stop()
  const path = checkoutPath('late', `${sale}-2`)
  for (const { name, http } of proxies) {
    const refused = async () => {
      const reply = await http.post(path)
      assert.deepEqual([reply.status, reply.json?.['code']], [503, 'unavailable'], name)
      assert.match(String(reply.headers['retry-after']), /^[123]$/, name)
      assert.equal(reply.headers['content-type'], 'application/problem+json', name)
      return reply
    }
    await eventually(refused, { deadlineMs })
    // HAProxy's checks have failed: the answer is its own.
    if (name === 'HAProxy')
      await eventually(async () => (await refused()).headers['uwebsockets'] === undefined, { deadlineMs })
  }
  await redis.start()
  for (const { name, http } of proxies)
    await eventually(async () => (await http.get('/readyz')).status === 200, { deadlineMs, what: name })
})

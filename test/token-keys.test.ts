// Goal: keys come and go while the server sells: a new one counts when the first token names it, a withdrawn one no more, and
// a source that is away stops nobody whose key is known.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { keyLookRestMs } from '../core/limits.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient, type HttpReply } from './helpers/http-client.ts'
import { startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, currentSale } from './helpers/items.ts'
import { scrape } from './helpers/metrics.ts'
import type { Scope } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { bearer, KeyServer, keysFile, keysText, SigningKey, signedEnv } from './helpers/tokens.ts'

const redis = await startRedis({ after })
const thirtyDays = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_USER_LIMIT: '1000' }
const [first, second, forged] = await Promise.all([
  SigningKey.make('ES256', 'first'),
  SigningKey.make('EdDSA', 'second'),
  SigningKey.make('ES256', 'forged'),
])

async function startWorker(scope: Scope, keys: string, env: Record<string, string> = {}) {
  const worker = await startHttpWorker(scope, redis, { env: { ...signedEnv(keys), ...thirtyDays, ...env } })
  const sale = await currentSale(worker)
  let items = 0
  const checkOut = (token: string): Promise<HttpReply> => {
    items += 1
    return worker.http.post(`/checkout?id=${sale}-${items}`, bearer(token))
  }
  return { worker, checkOut }
}

/** Between two looks at what waits for a rest of ten seconds: each is a signed request. */
const pollMs = 250

/** Whether a key counts by now. Each time another token: one that is remembered says nothing of its key. */
async function isTaken(checkOut: (token: string) => Promise<HttpReply>, key: SigningKey): Promise<boolean> {
  const { status } = await checkOut(await key.token('ann', { jti: String(Math.random()) }))
  return status === 200 || status === 409
}

async function keysOf(worker: TestHttpWorker): Promise<{ status: string; keys: number }> {
  const { json, text } = await worker.http.get('/readyz')
  const checks = json?.['checks'] as { keys: { status: string; keys: number } } | undefined
  assert.ok(checks !== undefined, text)
  return checks.keys
}

test('a token of a key that was just put into the file is taken at once, and one of a withdrawn key no more', async (t) => {
  const file = keysFile(t, [first])
  const { worker, checkOut } = await startWorker(t, file.path)
  const old = await first.token('ann')
  assert.equal((await checkOut(old)).status, 200)
  assertProblem(await checkOut(await forged.token('ann')), 401, 'unauthorized')

  file.write(keysText([first, second]))
  await eventually(() => isTaken(checkOut, second), { pollMs, what: 'the new key' })
  assert.equal((await checkOut(old)).status, 200, 'both count')
  assert.equal((await keysOf(worker)).keys, 2)

  file.write(keysText([second]))
  await eventually(async () => (await checkOut(old)).status === 401, {
    pollMs,
    what: 'the end of the remembered token',
  })
  assert.equal(await isTaken(checkOut, first), false)
  assert.equal(await isTaken(checkOut, second), true)
})

test('a file that is broken or gone leaves the keys that it had', async (t) => {
  const file = keysFile(t, [first])
  const { checkOut } = await startWorker(t, file.path)
  for (const text of ['{"keys":', '', JSON.stringify({ keys: [{ ...first.publicJwk, d: 'private' }] })]) {
    file.write(text)
    // A token of an unknown key has the file looked at: that it is no good is seen then.
    const away = async () => (await checkOut(await second.token('ann'))).json?.['code'] === 'keys_unavailable'
    await eventually(away, { pollMs, what: `a look at ${text}` })
    assert.equal(await isTaken(checkOut, first), true)
  }
  file.write(keysText([first, second]))
  await eventually(() => isTaken(checkOut, second), { pollMs, what: 'the file to be read again' })
})

test('a URL is asked for an unknown key once in a while, however many tokens name one', async (t) => {
  const server = await KeyServer.open(t, keysText([first]))
  const startedMs = performance.now()
  /** At the start, and after each rest: a busy machine may take longer than one for what follows. */
  const askedMost = () => 1 + Math.floor((performance.now() - startedMs) / keyLookRestMs)
  const { checkOut } = await startWorker(t, server.url)
  assert.equal(await isTaken(checkOut, first), true)
  assert.equal(server.asked, 1)
  for (let round = 0; round < 20; round++) {
    const tokens = await Promise.all([forged.token('ann'), forged.sign({}, { kid: `made-up-${round}` })])
    for (const reply of await Promise.all(tokens.map(checkOut))) assertProblem(reply, 401, 'unauthorized')
  }
  assert.ok(server.asked <= askedMost(), `it was asked ${server.asked} times`)

  server.text = keysText([first, second])
  await eventually(() => isTaken(checkOut, second), { pollMs, what: 'the rotated key' })
  assert.ok(server.asked <= askedMost(), `it was asked ${server.asked} times`)
})

test('while the URL is away known keys count, unknown ones are a 503, and it is asked again', async (t) => {
  const server = await KeyServer.open(t, keysText([first]))
  const { worker, checkOut } = await startWorker(t, server.url)
  server.isAway = true
  const refused = async () => {
    const reply = await checkOut(await second.token('ann'))
    return reply.status === 503 ? reply : undefined
  }
  const away = await eventually(refused, { pollMs, what: 'a look at the URL' })
  assertProblem(away, 503, 'keys_unavailable')
  assert.ok(Number(away.headers['retry-after']) >= 1)
  assert.equal(await isTaken(checkOut, first), true)
  assert.equal((await keysOf(worker)).status, 'fresh')

  server.isAway = false
  server.text = keysText([second])
  await eventually(() => isTaken(checkOut, second), { pollMs, what: 'the keys when the URL is back' })
  assert.equal(await isTaken(checkOut, first), false)
})

test('in a published set the keys that are for something else are left out', async (t) => {
  const odd = [
    { kty: 'RSA', use: 'enc', kid: 'enc', n: 'AQAB', e: 'AQAB' },
    { kty: 'oct', kid: 'secret', k: 'c2VjcmV0' },
    { kty: 'EC', crv: 'secp256k1', kid: 'odd', x: 'AA', y: 'AA' },
    { ...first.publicJwk, x5c: ['certificate'], x5t: 'x' },
  ]
  const server = await KeyServer.open(t, JSON.stringify({ keys: odd }))
  const { worker, checkOut } = await startWorker(t, server.url)
  assert.equal((await keysOf(worker)).keys, 1)
  assert.equal(await isTaken(checkOut, first), true)
})

test('a key without a name is tried for any token of its kind, in PEM too', async (t) => {
  const [one, other] = await Promise.all([SigningKey.make('ES256'), SigningKey.make('ES256')])
  const file = keysFile(t, [one, other])
  const { checkOut } = await startWorker(t, file.path)
  for (const key of [one, other]) assert.equal(await isTaken(checkOut, key), true)
  assert.equal((await checkOut(await other.sign({}, { kid: 'whatever' }))).status, 401)
  assertProblem(await checkOut(await first.token('ann')), 401, 'unauthorized')
})

test('a secret counts only where the settings and the file both say so', async (t) => {
  const k = Buffer.alloc(32, 7).toString('base64url')
  const secret = await SigningKey.secret(k)
  const file = keysFile(t, [])
  file.write(JSON.stringify({ keys: [{ kty: 'oct', k, kid: 'shared' }, first.publicJwk] }))
  const { checkOut } = await startWorker(t, file.path, { APP_JWT_ALGORITHMS: 'HS256, ES256' })
  assert.equal((await checkOut(await secret.token('ann'))).status, 200)
  assert.equal((await checkOut(await first.token('ann'))).status, 200)
})

test('a whole server takes its keys from a URL, gives them to all workers, and tells their age', async (t) => {
  const [server, postgres] = await Promise.all([KeyServer.open(t, keysText([first])), startPostgres(t)])
  const services = servicesEnv({ redis: redis.connection, db: postgres.connection })
  server.isAway = true
  const env = { ...services, ...thirtyDays, ...signedEnv(server.url) }
  const cluster = await startCluster(t, { env, awaitReady: false })
  await eventually(() => cluster.logLines().some((line) => line.includes('waiting for the keys at')))
  server.isAway = false
  await eventually(async () => (await cluster.http.get('/readyz')).status === 200, { what: 'the server' })
  const sale = await currentSale(cluster)
  // Each on a connection of its own, so that both workers are met.
  for (let n = 1; n <= 12; n++) {
    const client = new HttpClient(t, { baseUrl: cluster.baseUrl, connections: 1 })
    const reply = await client.post(`/checkout?id=${sale}-${n}`, bearer(await first.token('ann', { jti: String(n) })))
    assert.equal(reply.status, 200, reply.text)
  }
  server.text = keysText([first, second])
  await eventually(
    async () => {
      const client = new HttpClient(t, { baseUrl: cluster.baseUrl, connections: 1 })
      const reply = await client.post(`/checkout?id=${sale}-1`, bearer(await second.token('ann')))
      client.close()
      return reply.status === 200
    },
    { pollMs, what: 'the rotated key' },
  )
  const metrics = new HttpClient(t, { baseUrl: cluster.metricsUrl })
  // One worker has the new key, and the other may still be at work on it.
  await eventually(async () => {
    const now = await scrape(metrics)
    assert.equal(now.value('hotcakes_token_keys'), 2)
    assert.ok((now.value('hotcakes_token_keys_age_seconds') ?? Number.NaN) < 900)
    assert.ok((now.value('hotcakes_tokens_total{result="verified"}') ?? 0) >= 13)
    return true
  })
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
  const token = await first.token('ann')
  const signature = token.split('.')[0] ?? ''
  assert.ok(cluster.logLines().every((line) => !line.includes(signature)))
})

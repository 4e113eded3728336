// Goal: who sends forged tokens, or asks too often, takes nothing from others.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'

import {
  badSignaturesMax,
  suspectVerificationBurstMs,
  suspectVerificationMsPerSecondMax,
} from '../server/worker/limits.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, currentSale } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import type { Scope } from './helpers/scope.ts'
import { startRedis } from './helpers/services.ts'
import { bearer, keysFile, SigningKey, signedEnv } from './helpers/tokens.ts'

const redis = await startRedis({ after })
const key = await SigningKey.make('ES256', 'key')
const env = {
  ...signedEnv(keysFile({ after }, [key]).path),
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_USER_LIMIT: '1000',
  APP_JWT_BACKEND_SCOPE: 'shop:backend',
}

async function ask(
  scope: Scope,
  from: string,
  { port, tokens, path }: { port: number; tokens: readonly string[]; path: string },
) {
  const connection = await openConnection(scope, port, from)
  const replies: HttpReply[] = []
  for (const token of tokens) {
    await connection.send(requestText('POST', path, [`Authorization: Bearer ${token}`]))
    replies.push(await connection.reply())
  }
  return replies
}

/** Together they ask faster than a suspect's are checked, also on a busy machine; fewer than are checked at a time. */
const forgers = 40
const forgeriesEach = 50

test('an address that sends forged signatures is soon not looked at, and new buyers from elsewhere are', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const { port } = worker
  const path = `/checkout?id=${await currentSale(worker)}-1`
  const start = (await key.token('victim')).split('.').slice(0, 2).join('.')
  const forge = () => `${start}.${randomBytes(64).toString('base64url')}`
  const forged = Array.from({ length: forgers }, () => Array.from({ length: forgeriesEach }, forge))
  const startedMs = performance.now()
  const flood = Promise.all(forged.map((tokens) => ask(t, '127.0.0.66', { port, path, tokens })))
  const remembered = await key.token('remembered')
  for (let n = 0; n < 20; n++) {
    const [again, anew] = await ask(t, '127.0.0.7', { port, path, tokens: [remembered, await key.token(`new-${n}`)] })
    assert.ok([200, 409].includes(again?.status ?? 0) && [200, 409].includes(anew?.status ?? 0), again?.text)
  }
  const replies = (await flood).flat()
  const seconds = (performance.now() - startedMs) / 1_000
  const statuses = new Set(replies.map(({ status }) => status))
  assert.deepEqual(
    [...statuses].toSorted((a, b) => a - b),
    [401, 503],
    'checked as long as it is no suspect, and then seldom',
  )
  for (const reply of replies.filter(({ status }) => status === 503).slice(0, 3))
    assertProblem(reply, 503, 'overloaded')
  // A check of ES256 takes 0.05 ms on any machine at least.
  const checkedMax =
    badSignaturesMax + forgers + (suspectVerificationBurstMs + seconds * suspectVerificationMsPerSecondMax) / 0.05
  const checked = metricValue(await worker.metrics(), 'hotcakes_tokens_total', { result: 'signature' })
  assert.ok(checked >= badSignaturesMax && checked <= checkedMax, `${checked} of ${replies.length} in ${seconds} s`)
})

/** Numbers of hotcakes_tokens_total after those before. */
async function countsOf(worker: TestHttpWorker, before: Readonly<Record<string, number>> = {}) {
  const metrics = await worker.metrics()
  const counts: Record<string, number> = {}
  for (const result of ['verified', 'remembered', 'no_buyer', 'signature'])
    counts[result] = metricValue(metrics, 'hotcakes_tokens_total', { result }) - (before[result] ?? 0)
  return counts
}

test('a good token is checked once, however its header is written, and so is one of nobody who could buy', async (t) => {
  const worker = await startHttpWorker(t, redis, { env })
  const { port } = worker
  const path = `/checkout?id=${await currentSale(worker)}-4`
  const send = async (token: string, scheme: string): Promise<number> => {
    const connection = await openConnection(t, port)
    await connection.send(requestText('POST', path, [`Authorization: ${scheme}${token}`]))
    return (await connection.reply()).status
  }
  const before = await countsOf(worker)
  const good = await key.token('ann')
  for (const scheme of ['Bearer ', 'bearer ', 'BEARER   ', 'Bearer  ', 'Bearer ', 'bEARER '])
    assert.equal(await send(good, scheme), 200, scheme)
  const { verified, remembered } = await countsOf(worker, before)
  assert.deepEqual({ verified, remembered }, { verified: 1, remembered: 5 })

  // A signature of another one's, at the end of which nothing differs.
  const forged = `${good.slice(0, -60)}AAAA${good.slice(-56)}`
  for (const scheme of ['Bearer ', 'bearer ']) assert.equal(await send(forged, scheme), 401)
  assert.equal((await countsOf(worker, before))['signature'], 2)

  const nobody = await key.token('jane doe')
  for (const scheme of ['Bearer ', 'bearer ', 'Bearer ']) assert.equal(await send(nobody, scheme), 403)
  const { no_buyer: noBuyer } = await countsOf(worker, before)
  assert.equal(noBuyer, 3)
  assert.equal(await rememberedCount(worker), 2, 'both are known now')
})

async function rememberedCount(worker: TestHttpWorker): Promise<number> {
  return metricValue(await worker.metrics(), 'hotcakes_tokens_remembered', {})
}

test('one buyer is slowed down from whatever addresses, another and a backend are not', async (t) => {
  const perSecond = 5
  const worker = await startHttpWorker(t, redis, { env: { ...env, APP_RATE_LIMIT_PER_BUYER: String(perSecond) } })
  const { port } = worker
  const path = `/checkout?id=${await currentSale(worker)}-2`
  // Two tokens of one buyer.
  const greedy = await Promise.all([key.token('greedy'), key.token('greedy', { jti: 'other' })])
  const limited = await eventually(async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => ask(t, `127.0.0.${20 + n}`, { port, path, tokens: [greedy[n % 2] ?? ''] })),
    )
    return all.flat().find(({ status }) => status === 429)
  })
  assertProblem(limited, 429, 'rate_limited')
  assert.match(String(limited.json?.['detail']), /from this buyer/)
  const { 'ratelimit-policy': policy, 'retry-after': retryAfter } = limited.headers
  assert.deepEqual([policy, retryAfter], [`"buyer";q=${perSecond};w=1`, '1'])
  assert.equal((await worker.http.post(path, bearer(await key.token('modest')))).status, 409)

  const backend = await key.token('service', { scope: 'shop:backend' })
  for (let n = 0; n < perSecond * 4; n++) {
    const reply = await worker.http.post(`${path}&user_id=buyer-${n}`, bearer(backend))
    assert.equal(reply.status, 409, reply.text)
  }
})

// Goal: whoever guesses codes, or just asks too often, is slowed down, is told so in a standard way, and slows nobody else.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { NonceSource } from '../core/ids.ts'
import { eventually } from './helpers/eventually.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, currentSale, purchasePath } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import type { Scope } from './helpers/scope.ts'
import { startRedis } from './helpers/services.ts'

const perSecond = 20
const redis = await startRedis({ after })
const worker = await startHttpWorker({ after }, redis, {
  env: {
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    APP_RATE_LIMIT_PER_SECOND: String(perSecond),
  },
})
const sale = await currentSale(worker)

async function ask(scope: Scope, from: string, requests: readonly string[]): Promise<HttpReply[]> {
  const connection = await openConnection(scope, worker.port, from)
  const replies: HttpReply[] = []
  for (const request of requests) {
    await connection.send(request)
    replies.push(await connection.reply())
  }
  return replies
}

test('who guesses codes is slowed down after a second’s worth, and nobody else notices', async (t) => {
  const nonces = new NonceSource()
  const guesses = Array.from({ length: 200 }, () => requestText('POST', purchasePath(`${sale}-1-${nonces.next()}`)))
  const startedMs = performance.now()
  const replies = await ask(t, '127.0.0.9', guesses)
  const seconds = (performance.now() - startedMs) / 1_000
  const looked = replies.filter(({ status }) => status === 404)
  assert.ok(looked.length >= perSecond && looked.length <= perSecond * (seconds + 1) + 1, `${looked.length}`)
  assert.equal(looked.length + replies.filter(({ status }) => status === 429).length, replies.length)

  const [other] = await ask(t, '127.0.0.10', [requestText('GET', '/sale')])
  assert.equal(other?.status, 200)
  const limited = metricValue(await worker.metrics(), 'hotcakes_http_requests_total', { status: 429 })
  assert.equal(limited, replies.length - looked.length)
})

test('the answer says how many there may be and when to come back, and then it is served', async (t) => {
  const connection = await openConnection(t, worker.port, '127.0.0.11')
  // All at once: one after the other they might take longer than a second, and none would be too many.
  await connection.send(requestText('GET', '/nothing').repeat(perSecond * 2))
  let limited = await connection.reply()
  for (let n = 1; limited.status !== 429 && n < perSecond * 2; n++) limited = await connection.reply()
  assertProblem(limited, 429, 'rate_limited')
  const { 'ratelimit-policy': policy, ratelimit, 'retry-after': retryAfter } = limited.headers
  assert.deepEqual([policy, ratelimit, retryAfter], [`"address";q=${perSecond};w=1`, '"address";r=0;t=1', '1'])
  await eventually(async () => (await ask(t, '127.0.0.11', [requestText('GET', '/sale')]))[0]?.status === 200)
})

test('health checks are not limited', async (t) => {
  const replies = await ask(t, '127.0.0.12', Array(perSecond * 3).fill(requestText('GET', '/livez')))
  assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200])
})

test('a HEAD that is one too many gets headers only, a body is refused and its connection closed', async (t) => {
  const connection = await openConnection(t, worker.port, '127.0.0.13')
  // All at once: to be answered in the turn in which they come is what makes pipelining possible.
  await connection.send(requestText('HEAD', '/nothing').repeat(perSecond * 2))
  const answers = () => connection.unread.split('\r\n\r\n').slice(0, -1)
  await eventually(() => answers().length === perSecond * 2)
  assert.match(answers().at(-1) ?? '', /^HTTP\/1\.1 429 Too Many Requests\r\n/)
  connection.discard()
  await connection.send(`${requestText('POST', '/checkout', ['Content-Length: 5'])}hello`)
  assert.equal((await connection.reply()).status, 400)
  await eventually(() => connection.isClosed)
})

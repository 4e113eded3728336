// Goal: with APP_BUYERS=signed nobody acts for a buyer without that buyer's token, whatever is sent in its place, and is told
// what was wrong without a word of what he sent.

import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { after, test } from 'node:test'
import type { JWTPayload } from 'jose'
import { eventually } from './helpers/eventually.ts'

import type { HttpReply } from './helpers/http-client.ts'
import { metricValue, startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { startPersister } from './helpers/persister.ts'
import { openConnection, requestText, whileStopped } from './helpers/raw-http.ts'
import { newRecord } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { bearer, claimsOf, keysFile, nowSeconds, SigningKey, signedEnv } from './helpers/tokens.ts'

const postgres = await startPostgres({ after })
const redis = await startRedis({ after })
const db = postgres.connection
newRecord({ after }, db)
const [rsa, ec, ed, stranger] = await Promise.all([
  SigningKey.make('RS256', 'rsa'),
  SigningKey.make('ES256', 'ec'),
  SigningKey.make('EdDSA', 'ed'),
  SigningKey.make('ES256', 'ec'),
])
const file = keysFile({ after }, [rsa, ec, ed])
const env = {
  ...servicesEnv({ db, redis: redis.connection }),
  ...signedEnv(file.path),
  APP_JWT_BACKEND_SCOPE: 'shop:backend',
  APP_JWT_LEEWAY_SECONDS: '30',
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_USER_LIMIT: '1000',
}
const worker = await startHttpWorker({ after }, redis, { env })
const { http } = worker
const sale = await currentSale(worker)
let items = 0

/** An item that nobody has. */
function freeItem(): string {
  items += 1
  return `${sale}-${items}`
}

/** A checkout that leaves the user to the token. */
function checkOut(token: string, item = freeItem()): Promise<HttpReply> {
  return http.post(`/checkout?id=${item}`, bearer(token))
}

function assertUnauthorized(reply: HttpReply, detail: RegExp, token: string): void {
  assertProblem(reply, 401, 'unauthorized')
  assert.match(String(reply.json?.['detail']), detail)
  const challenge = String(reply.headers['www-authenticate'])
  assert.match(challenge, /^Bearer realm="hotcakes", error="invalid_token", error_description="[^"]+"$/)
  assertUntold(reply, token)
}

function assertUntold(reply: HttpReply, token: string): void {
  const said = reply.text + JSON.stringify(reply.headers)
  for (const part of token.split('.').filter(({ length }) => length > 8)) assert.ok(!said.includes(part), said)
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Reads until it is not 503: Postgres or the worker may be late on a busy machine. */
async function readInTime(path: string, token?: string): Promise<HttpReply> {
  return await eventually(
    async () => {
      const reply = await http.get(path, token === undefined ? {} : bearer(token))
      return reply.status === 503 ? undefined : reply
    },
    { what: path },
  )
}

async function counted(result: string): Promise<number> {
  return metricValue(await worker.metrics(), 'hotcakes_tokens_total', { result })
}

test('a token of each kind of key holds and purchases for its buyer, as identity providers name them', async () => {
  const users = ['auth0|5f7c8ec7c33c6c004bbafe82', 'jane+sale@example.com', "o'brien@example.com"]
  for (const [at, key] of [rsa, ec, ed].entries()) {
    const user = users[at] ?? ''
    const token = await key.token(user)
    const code = codeOf(await checkOut(token))
    const bought = await http.post(purchasePath(code), bearer(token))
    assert.deepEqual([bought.status, bought.json?.['user_id']], [200, user])
    assert.equal((await http.post(checkoutPath(user, freeItem()), bearer(token))).status, 200)
  }
})

test('a token is verified once, and remembered for the next requests', async () => {
  const token = await ec.token('again')
  const [verified, remembered] = [await counted('verified'), await counted('remembered')]
  for (let n = 0; n < 5; n++) assert.equal((await checkOut(token)).status, 200)
  assert.equal((await counted('verified')) - verified, 1)
  assert.equal((await counted('remembered')) - remembered, 4)
})

test('a code is redeemed and given back by its buyer and by the backend, and by nobody else', async () => {
  const [ann, eve] = [await ec.token('ann'), await ec.token('eve')]
  const backend = await ec.token('the shop', { scope: 'shop:backend' })
  const [bought, given, left] = [freeItem(), freeItem(), freeItem()]
  const codes = await Promise.all([bought, given, left].map(async (item) => codeOf(await checkOut(ann, item))))
  const [purchased = '', released = '', byBackend = ''] = codes
  const release = (code: string, token: string) => http.post(`/release?code=${code}`, bearer(token))
  for (const code of codes) {
    assertProblem(await http.post(purchasePath(code), bearer(eve)), 403, 'code_of_another')
    assertProblem(await release(code, eve), 403, 'code_of_another')
    assertProblem(await http.post(`/release?code=${code}`), 401, 'unauthorized')
  }
  assert.equal((await http.post(purchasePath(purchased), bearer(ann))).status, 200)
  assertProblem(await http.post(purchasePath(purchased), bearer(eve)), 403, 'code_of_another')
  assert.equal((await release(released, ann)).status, 200)
  assert.equal((await checkOut(eve, given)).status, 200)
  assert.equal((await http.post(purchasePath(byBackend), bearer(backend))).status, 200)
})

test('without a token nobody holds, purchases or reads what a buyer has; everybody sees the sale', async () => {
  const item = freeItem()
  for (const [method, path] of [
    ['POST', checkoutPath('ann', item)],
    ['POST', purchasePath(`${item}-AAAAAAAAAAAAAAAA`)],
    ['POST', `/release?code=${item}-AAAAAAAAAAAAAAAA`],
    ['GET', '/users/ann/purchases'],
    ['GET', `/purchases/${item}-AAAAAAAAAAAAAAAA`],
    // Nothing is said of a malformed request before it is known who asks.
    ['POST', '/checkout'],
  ] as const) {
    const reply = await http.send(method, path)
    assertProblem(reply, 401, 'unauthorized')
    assert.equal(reply.headers['www-authenticate'], 'Bearer realm="hotcakes"')
  }
  const head = await http.send('HEAD', '/users/ann/purchases')
  assert.deepEqual([head.status, head.text], [401, ''])
  for (const path of ['/sale', '/items?limit=1', `/items/${item}`, '/readyz', '/openapi.json'])
    assert.equal((await readInTime(path)).status, 200, path)
  assert.equal((await http.send('OPTIONS', '/checkout')).status, 204)
})

test('a token that is out of its time, or for somebody else, is refused by name', async () => {
  const now = nowSeconds()
  for (const [claims, detail] of [
    [{ exp: now - 31 }, /has expired/],
    [{ nbf: now + 90 }, /not valid yet/],
    [{ iss: 'https://other.example/' }, /another issuer/],
    [{ iss: undefined }, /another issuer/],
    [{ aud: 'https://other.example' }, /somebody else/],
    [{ aud: ['https://other.example', 'x'] }, /somebody else/],
    [{ aud: undefined }, /somebody else/],
    [{ exp: undefined }, /no expiry/],
    [{ exp: 'tomorrow' as unknown as number }, /no signed JWT/],
    [{ iat: 'today' as unknown as number }, /no signed JWT/],
  ] as const) {
    const token = await ec.token('ann', claims as JWTPayload)
    assertUnauthorized(await checkOut(token), detail, token)
  }
  for (const claims of [{ exp: now - 5 }, { nbf: now + 20 }, { aud: ['x', 'https://shop.example'] }])
    assert.equal((await checkOut(await ec.token('ann', claims))).status, 200, 'within the leeway, or meant for us too')
})

test('a remembered token counts no longer than it would when it was new', async () => {
  // It is over after two seconds: if that was before it came, there is another one.
  const token = await eventually(async () => {
    const brief = await ec.token('brief', { exp: nowSeconds() - 27 })
    return (await checkOut(brief)).status === 200 ? brief : undefined
  })
  const reply = await eventually(async () => {
    const answer = await checkOut(token)
    return answer.status === 401 ? answer : undefined
  })
  assertUnauthorized(reply, /has expired/, token)
})

test('a token without a signature of one of our keys is refused, whatever it says of itself', async () => {
  const claims = claimsOf('ann')
  const good = await rsa.token('ann')
  const [head = '', body = '', signature = ''] = good.split('.')
  const pem = createPublicKey({ key: { ...rsa.publicJwk } as never, format: 'jwk' }).export({
    type: 'spki',
    format: 'pem',
  })
  const hmacHead = encoded({ alg: 'HS256', kid: 'rsa' })
  const hmac = createHmac('sha256', pem)
    .update(`${hmacHead}.${encoded(claims)}`)
    .digest('base64url')
  for (const [token, detail] of [
    [`${encoded({ alg: 'none' })}.${encoded(claims)}.`, /no signed JWT/],
    [`${encoded({ alg: 'none' })}.${encoded(claims)}.AAAA`, /algorithm/],
    [`${encoded({ alg: 'None', kid: 'rsa' })}.${encoded(claims)}.${signature}`, /algorithm/],
    // The public key as a secret.
    [`${hmacHead}.${encoded(claims)}.${hmac}`, /algorithm/],
    [`${head}.${encoded({ ...claims, sub: 'bob' })}.${signature}`, /signature/],
    [`${head}.${body}.${signature.slice(0, -4)}`, /signature/],
    [`${head}.${body}.${signature}AAAA`, /signature/],
    [await stranger.token('ann'), /signature/],
    // Of our key, by the name of another one.
    [await ec.sign(claims, { kid: 'rsa' }), /key that is not known/],
    [`${encoded({ alg: 'RS256', kid: 'rsa', crit: ['x'], x: 1 })}.${body}.${signature}`, /no signed JWT/],
    ['x'.repeat(100), /no signed JWT/],
    [`${head}.${body}`, /no signed JWT/],
    [`${head}.bm8ganNvbg.${signature}`, /no signed JWT/],
    [`${encoded(['RS256'])}.${body}.${signature}`, /no signed JWT/],
    [`${encoded({ alg: 'RS256', kid: 7 })}.${body}.${signature}`, /no signed JWT/],
  ] as const)
    assertUnauthorized(await checkOut(token), detail, token)
})

test('the header is Bearer in any case and one token, once', async () => {
  const token = await ec.token('ann')
  for (const scheme of ['bearer', 'BEARER', 'Bearer  '])
    assert.equal(
      (await http.post(`/checkout?id=${freeItem()}`, { headers: { Authorization: `${scheme} ${token}` } })).status,
      200,
    )
  for (const header of ['Basic YW5uOmFubg==', 'Bearer', `Bearer ${token} ${token}`, token, `Token ${token}`]) {
    const reply = await http.post(`/checkout?id=${freeItem()}`, { headers: { Authorization: header } })
    assertProblem(reply, 401, 'unauthorized')
    assert.equal(reply.headers['www-authenticate'], 'Bearer realm="hotcakes"')
    assertUntold(reply, header)
  }
})

test('two Authorization headers are refused, and headers that are too long never get here', async (t) => {
  const [one, two] = [await ec.token('ann'), await ec.token('bob')]
  const connection = await openConnection(t, worker.port)
  const path = `/checkout?id=${freeItem()}`
  await connection.send(requestText('POST', path, [`Authorization: Bearer ${one}`, `Authorization: Bearer ${two}`]))
  const reply = await connection.reply()
  assertProblem(reply, 400, 'invalid_request')
  assert.match(String(reply.headers['www-authenticate']), /error="invalid_request"$/)

  const long = await ec.token('ann', { roles: 'x'.repeat(6_000) })
  const other = await openConnection(t, worker.port)
  await other.send(requestText('POST', path, [`Authorization: Bearer ${long}`]))
  assert.equal((await other.reply()).status, 431)
})

test('a token acts for its own buyer, a backend’s for any, and both are told apart by the scope', async () => {
  const token = await ec.token('ann')
  const mismatch = await http.post(checkoutPath('bob', freeItem()), bearer(token))
  assertProblem(mismatch, 403, 'buyer_mismatch')
  assert.equal(
    mismatch.headers['www-authenticate'],
    'Bearer realm="hotcakes", error="insufficient_scope", scope="shop:backend"',
  )
  for (const claims of [{ scope: 'openid shop:backend' }, { scp: ['shop:backend'] }, { scp: 'shop:backend' }]) {
    const backend = await rsa.token('service@clients', claims)
    const code = codeOf(await http.post(checkoutPath('bob', freeItem()), bearer(backend)))
    const bought = await http.post(purchasePath(code), bearer(backend))
    assert.deepEqual([bought.status, bought.json?.['user_id']], [200, 'bob'])
    const unnamed = await checkOut(backend)
    assertProblem(unnamed, 400, 'invalid_request')
  }
  for (const claims of [{ scope: 'shop:backends' }, { scope: 'shop' }, { scp: { 'shop:backend': true } }])
    assertProblem(
      await http.post(checkoutPath('bob', freeItem()), bearer(await rsa.token('ann', claims))),
      403,
      'buyer_mismatch',
    )
})

test('a claim that is no user id is nobody who could buy', async () => {
  for (const sub of [undefined, '', 'jane doe', 'a"b', 'x'.repeat(256), 'jané', 7, ['ann'], { id: 'ann' }]) {
    const reply = await checkOut(await ec.sign({ ...claimsOf('ann'), sub } as never))
    assertProblem(reply, 403, 'no_buyer')
    assert.match(String(reply.headers['www-authenticate']), /error="insufficient_scope"/)
  }
})

test('what a buyer has purchased is told to the buyer and to a backend, and to nobody else', async (t) => {
  const [ann, bob, backend] = [
    await ec.token('reader'),
    await ec.token('bob'),
    await ec.token('x', { scope: 'shop:backend' }),
  ]
  const code = codeOf(await checkOut(ann))
  const bought = await http.post(purchasePath(code), bearer(ann))
  await (await startPersister(t, { db, redis: redis.connection })).drain()
  for (const token of [ann, backend]) {
    const list = await readInTime('/users/reader/purchases', token)
    assert.equal((list.json?.['purchases'] as object[] | undefined)?.length, 1, list.text)
    assert.deepEqual((await readInTime(`/purchases/${code}`, token)).json, bought.json)
  }
  assertProblem(await http.get('/users/reader/purchases', bearer(bob)), 403, 'buyer_mismatch')
  assertProblem(await readInTime(`/purchases/${code}`, bob), 404, 'purchase_unknown')
  // Together, where one read serves those that ask for the same.
  const [own, others] = await Promise.all([ann, bob].map((token) => readInTime(`/purchases/${code}`, token)))
  assert.deepEqual([own?.status, others?.status], [200, 404])
})

test('of a buyer who has gone while the token was verified nothing is decided', async (t) => {
  const item = freeItem()
  const [leaver, next] = [await rsa.token('leaver'), await rsa.token('next')]
  const decided = async () => metricValue(await worker.metrics(), 'hotcakes_outcomes_total', { operation: 'checkout' })
  const before = await decided()
  const connection = await openConnection(t, worker.port)
  await whileStopped(worker, async () => {
    await connection.send(requestText('POST', `/checkout?id=${item}`, [`Authorization: Bearer ${leaver}`]))
    connection.destroy()
  })
  assert.equal((await checkOut(next, item)).status, 200, 'the item is free')
  assert.equal(await decided(), before + 1)
})

test('a token is in no answer, metric or message of the worker', async () => {
  const token = await ec.token('secretive')
  const forged = `${token.slice(0, -8)}AAAAAAAA`
  assert.equal((await checkOut(token)).status, 200)
  assert.equal((await checkOut(forged)).status, 401)
  const said = JSON.stringify([await worker.metrics(), worker.messages, (await http.get('/readyz')).json])
  for (const part of token.split('.').filter(({ length }) => length > 30)) assert.ok(!said.includes(part))
  const ready = (await http.get('/readyz')).json?.['checks'] as { keys?: { status: string; keys: number } }
  assert.deepEqual([ready.keys?.status, ready.keys?.keys], ['fresh', 3])
})

// Goal: on the wire the server is strict about what could be understood in two ways, and plain about everything else.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { eventually } from './helpers/eventually.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, checkoutPath, currentSale } from './helpers/items.ts'
import { openConnection, requestText } from './helpers/raw-http.ts'
import { startRedis } from './helpers/services.ts'

const redis = await startRedis({ after })
const worker = await startHttpWorker({ after }, redis, { env: { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) } })
const sale = await currentSale(worker)
const paths = { POST: ['/checkout', '/purchase', '/release'], GET: ['/sale', '/livez', '/readyz', '/health'] }

test('a request with a body or a transfer encoding is refused and its connection closed', async (t) => {
  const path = checkoutPath('smuggler', `${sale}-1`)
  for (const [headers, body] of [
    [['Content-Length: 5'], 'hello'],
    [['Content-Length: 00'], ''],
    [['Content-Length: 0', 'Content-Length: 5'], 'hello'],
    [['Content-Length: 0', 'Content-Length: 0'], ''],
    [['Transfer-Encoding: chunked'], '0\r\n\r\n'],
    [['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'],
    [['Transfer-Encoding: identity'], ''],
  ] as const) {
    const connection = await openConnection(t, worker.port)
    await connection.send(requestText('POST', path, headers) + body)
    const reply = await connection.reply()
    assertProblem(reply, 400, 'invalid_request')
    assert.equal(reply.headers['connection'], 'close', headers.join())
    await eventually(() => connection.isClosed)
    assert.equal(connection.unread, '', 'nothing of the body was taken for a request')
  }
  const { json } = await worker.http.get('/sale')
  assert.equal(json?.['held'], 0)
})

test('what is no HTTP/1.1 is refused by the parser, and its connection closed', async (t) => {
  for (const [request, status] of [
    [requestText('POST', '/checkout', ['Transfer-Encoding: chunked', 'Content-Length: 0']), 400],
    [requestText('POST', '/checkout', ['Content-Length: x']), 400],
    [requestText('GET', `/livez?${'x'.repeat(20_000)}`), 431],
    [requestText('GET', '/livez', [`A: ${'x'.repeat(20_000)}`]), 431],
    [requestText('GET', '/livez', Array(200).fill('A: b')), 431],
    [requestText('GET', '/livez').replace('HTTP/1.1', 'HTTP/1.0'), 505],
    [requestText('GET', '/livez').replaceAll('\r\n', '\n'), 505],
    [requestText('GET', '/livez').replace('Host: test', 'A: b'), 400],
    [requestText('GET', '/livez?\0'), 505],
    [requestText('GET', '/livez?\x1b[2J'), 505],
    [requestText('GET', '/livez HTTP/1.1\nA: b'), 505],
    [requestText('GET', 'http://test/livez'), 505],
    [requestText('CONNECT', 'test:80'), 505],
    [requestText('OPTIONS', '*'), 505],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['\x16\x03\x01\x02\0\x01\0\x01', 505],
  ] as const) {
    const connection = await openConnection(t, worker.port)
    await connection.send(request)
    await eventually(() => connection.isClosed)
    assert.match(connection.unread, new RegExp(`^HTTP/1\\.1 ${status} `))
  }
  assert.equal((await worker.http.get('/livez')).status, 200)
})

test('a Content-Length of 0 is no body, and the connection stays', async (t) => {
  const connection = await openConnection(t, worker.port)
  for (let n = 0; n < 3; n++) {
    await connection.send(requestText('POST', checkoutPath('plain', `${sale}-2`), ['Content-Length: 0']))
    assert.equal((await connection.reply()).status, 200)
  }
})

test('a first line that comes in two parts is answered, unless it is cut within the version', async (t) => {
  const request = requestText('GET', '/livez')
  for (const [cut, status] of [
    ['GET /li'.length, 200],
    ['GET /livez HTTP'.length, 505],
    ['GET /livez HTTP/1.1\r\nHo'.length, 200],
  ] as const) {
    const connection = await openConnection(t, worker.port)
    await connection.send(request.slice(0, cut))
    // So that the two parts do not arrive as one: the worker has taken and answered connections that came after this one.
    for (let n = 0; n < 2; n++) {
      const later = await openConnection(t, worker.port)
      await later.send(request)
      await later.reply()
    }
    await connection.send(request.slice(cut)).catch(() => undefined)
    await eventually(() => connection.unread !== '')
    assert.match(connection.unread, new RegExp(`^HTTP/1\\.1 ${status} `), `cut after ${cut}`)
  }
})

test('pipelined requests are answered in order while answers come at once, and end the connection otherwise', async (t) => {
  const answered = await openConnection(t, worker.port)
  await answered.send(requestText('GET', '/livez') + requestText('GET', '/nothing') + requestText('GET', '/livez'))
  const statuses = [(await answered.reply()).status, (await answered.reply()).status, (await answered.reply()).status]
  assert.deepEqual(statuses, [200, 404, 200])

  const path = checkoutPath('hasty', `${sale}-5`)
  const closed = await openConnection(t, worker.port)
  await closed.send(requestText('POST', path) + requestText('POST', path))
  await eventually(() => closed.isClosed)
  assert.equal(closed.unread, '')
  assert.equal((await worker.http.post(path)).status, 200, 'asking again is safe, whatever became of the first')
})

test('a client that closes its side is closed, with or without its answer, and may ask again', async (t) => {
  const path = checkoutPath('leaving', `${sale}-7`)
  const connection = await openConnection(t, worker.port)
  await connection.send(requestText('POST', path))
  connection.end()
  await eventually(() => connection.isClosed)
  assert.equal((await worker.http.post(path)).status, 200)
})

test('bytes that are no text, and methods that nobody has, get the answers of others like them', async (t) => {
  for (const [method, path, status] of [
    ['POST', `/checkout?user_id=\xff\xfe&id=${sale}-6`, 400],
    ['POST', `/checkout?user_id=\xc3\x28&id=${sale}-6`, 400],
    ['POST', '/purchase?code=\xed\xa0\x80', 400],
    ['POST', `/checkout?user_id=a&id=${sale}-6&id=${sale}-6`, 400],
    ['GET', '/\xff', 404],
    ['M-SEARCH', '/sale', 405],
    ['get', '/livez', 405],
    ['G!T', '/nothing', 404],
  ] as const) {
    const connection = await openConnection(t, worker.port)
    await connection.send(requestText(method, path))
    assert.equal((await connection.reply()).status, status, `${method} ${path}`)
  }
})

test('what there is not is 404, also with a body, and for paths that are nearly right', async (t) => {
  for (const path of ['//', '/checkout/', '/Checkout', '/%63heckout', '/sale/1', '/metrics']) {
    for (const method of ['GET', 'POST', 'DELETE', 'BREW']) {
      const connection = await openConnection(t, worker.port)
      await connection.send(requestText(method, path))
      assertProblem(await connection.reply(), 404, 'route_unknown')
    }
  }
  assertProblem(await worker.http.post('/nothing', { body: '{}' }), 404, 'route_unknown')
})

test('a wrong method is 405 and Allow says which are right', async () => {
  for (const [method, own] of Object.entries(paths)) {
    const allow = method === 'GET' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS'
    for (const path of own) {
      for (const wrong of ['PUT', 'PATCH', 'DELETE', method === 'GET' ? 'POST' : 'GET']) {
        const reply = await worker.http.send(wrong, path)
        assertProblem(reply, 405, 'method_not_allowed')
        assert.equal(reply.headers['allow'], allow)
      }
      const options = await worker.http.send('OPTIONS', path)
      assert.deepEqual([options.status, options.headers['allow'], options.text], [204, allow, ''])
    }
  }
})

test('HEAD answers the headers of GET without the body, on a connection that goes on', async (t) => {
  for (const path of ['/livez', '/sale']) {
    const connection = await openConnection(t, worker.port)
    await connection.send(requestText('GET', path))
    const get = await connection.reply()
    for (let n = 0; n < 2; n++) {
      await connection.send(requestText('HEAD', path))
      await eventually(() => connection.unread.endsWith('\r\n\r\n'))
      const head = connection.unread
      assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
      assert.match(head, new RegExp(`\r\nContent-Length: ${get.text.length}\r\n`))
      connection.discard()
    }
    await connection.send(requestText('GET', path))
    assert.deepEqual((await connection.reply()).status, 200)
  }
  for (const [path, status] of [
    ['/checkout', 405],
    ['/nothing', 404],
  ] as const) {
    const reply = await worker.http.send('HEAD', path)
    assert.deepEqual([reply.status, reply.text], [status, ''])
  }
})

test('a client that asks for its connection to be closed gets its answer first', async (t) => {
  const connection = await openConnection(t, worker.port)
  await connection.send(requestText('POST', checkoutPath('closer', `${sale}-3`), ['Connection: close']))
  assert.equal((await connection.reply()).status, 200)
  await eventually(() => connection.isClosed)
})

test('nothing that was sent is echoed, and nothing may be cached', async () => {
  for (const path of ['/checkout?user_id=%3Cscript%3E&id=1-1', '/%3Cscript%3E', '/purchase?code=%3Cscript%3E']) {
    const reply = await worker.http.post(path)
    assert.ok(!reply.text.includes('script'), reply.text)
    assert.equal(reply.headers['cache-control'], 'no-store')
  }
  for (const path of paths.GET) assert.equal((await worker.http.get(path)).headers['cache-control'], 'no-store')
})

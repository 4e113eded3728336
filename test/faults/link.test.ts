import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'

import { eventually } from '../helpers/eventually.ts'
import { Link } from './link.ts'

/** A service that answers every line with itself, and a link to it. */
async function startEcho(t: TestContext) {
  const heard: string[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('data', (data) => {
      heard.push(String(data))
      socket.write(data)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { heard, link: await Link.start(t, (server.address() as AddressInfo).port) }
}

interface Caller {
  readonly socket: Socket
  readonly received: () => string
  readonly end: () => 'open' | 'ended' | 'reset'
}

async function call(t: TestContext, link: Link, name: string): Promise<Caller> {
  const socket = connect({ port: link.port, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => void socket.destroy())
  let received = ''
  let end: ReturnType<Caller['end']> = 'open'
  socket.on('data', (data) => (received += String(data)))
  socket.on('end', () => (end = 'ended'))
  socket.on('error', () => (end = 'reset'))
  socket.write(name)
  await eventually(() => received === name || end !== 'open', { what: 'an echo' })
  return { socket, received: () => received, end: () => end }
}

test('a link lets everything pass, and a delayed byte is never overtaken', async (t) => {
  const { link } = await startEcho(t)
  const { socket, received } = await call(t, link, 'ann ')
  link.delay(100)
  socket.write('slow ')
  await eventually(() => link.isDelaying)
  link.delay(0)
  socket.write('fast')
  await eventually(() => received() === 'ann slow fast')
})

test('a cut hits the connections of the name, and those alone', async (t) => {
  const { link } = await startEcho(t)
  const [ann, bob] = [await call(t, link, 'ann'), await call(t, link, 'bob')]
  assert.equal(link.cut(/ann/), 1)
  await eventually(() => ann.end() === 'reset')
  bob.socket.write('!')
  await eventually(() => bob.received() === 'bob!')
})

test('a half-closed connection still carries the other direction', async (t) => {
  const { link, heard } = await startEcho(t)
  const { socket, end } = await call(t, link, 'ann')
  assert.equal(link.halfClose(/ann/, 'service'), 1)
  await eventually(() => end() === 'ended')
  socket.write('!')
  await eventually(() => heard.join('') === 'ann!')
})

test('a lost reply belongs to a call that was carried out', async (t) => {
  const { link, heard } = await startEcho(t)
  const { socket, end, received } = await call(t, link, 'ann')
  link.loseReplies('decide', 1)
  socket.write('decide')
  await eventually(() => end() === 'reset')
  assert.deepEqual(heard, ['ann', 'decide'])
  assert.equal(received(), 'ann')
  assert.equal(link.stopLosing(), 0)
})

test('new connections are refused while the link says so', async (t) => {
  const { link } = await startEcho(t)
  link.refuses = true
  assert.equal((await call(t, link, 'ann')).end(), 'reset')
  link.refuses = false
  assert.equal((await call(t, link, 'ann')).end(), 'open')
})

// Goal: wherever Redis' answers are cut, each call and command gets what ioredis alone would have given it, and ioredis'
// decoder has none of what was read past it.
// Method: an ioredis that is connected to a stand-in, which says nothing once it is ready: the test hands it each chunk.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { SeededRandom } from '../bench/harness/seeded-random.ts'
import { connectRedis, firstConnect, type RedisConnection } from '../core/redis/connection.ts'
import { DirectCalls } from '../core/redis/direct-calls.ts'
import { firstShard } from '../core/shards.ts'
import { eventually } from './helpers/eventually.ts'
import type { Scope } from './helpers/scope.ts'
import { seed } from './helpers/seed.ts'

const sockets = new Set<Socket>()
/** Answers what ioredis asks while it connects, and nothing else. */
const standIn = createServer((socket) => {
  sockets.add(socket)
  socket.on('error', () => undefined)
  let isReady = false
  socket.on('data', (data) => {
    if (isReady) return
    const command = data.toString('latin1').toLowerCase()
    isReady = command.includes('info')
    if (command.includes('setname')) socket.write('+OK\r\n')
    if (isReady) socket.write('$9\r\nloading:0\r\n')
  })
})
await once(standIn.listen(0, '127.0.0.1'), 'listening')
after(() => {
  standIn.close()
  for (const socket of sockets) socket.destroy()
})

class Connected {
  readonly redis: RedisConnection
  readonly direct: DirectCalls
  /** What ioredis' decoder was given since it was last looked at. */
  decoded: Buffer[] = []

  private constructor(redis: RedisConnection) {
    this.redis = redis
    redis.on('connect', () => {
      const [decode] = redis.stream.listeners('data') as ((chunk: Buffer) => void)[]
      assert.ok(decode !== undefined)
      redis.stream.off('data', decode)
      redis.stream.on('data', (chunk: Buffer) => {
        this.decoded.push(chunk)
        decode(chunk)
      })
    })
    this.direct = new DirectCalls(redis)
  }

  static async open(scope: Scope): Promise<Connected> {
    const settings = {
      host: '127.0.0.1',
      port: (standIn.address() as AddressInfo).port,
      user: '',
      password: '',
      tls: false,
    }
    const options = { shard: firstShard, name: 'hotcakes test', commandTimeoutMs: 120_000 }
    const redis = connectRedis(settings, options)
    scope.after(() => redis.disconnect())
    const connected = new Connected(redis)
    await firstConnect(redis, settings)
    connected.decoded = []
    return connected
  }

  receive(chunk: string | Buffer): void {
    this.redis.stream.emit('data', typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)
  }

  call(): Promise<unknown> {
    return this.direct.call(['FCALL', 'any', 0])
  }

  takeDecoded(): string {
    const taken = Buffer.concat(this.decoded).toString('latin1')
    this.decoded = []
    return taken
  }
}

interface Step {
  readonly isCall: boolean
  readonly reply: string
}

const text = (value: string): string => `$${value.length}\r\n${value}\r\n`
const pair = (first: string, second: string): string => `*2\r\n${text(first)}${text(second)}`

const others = [
  '-HCRUN of another\r\n',
  '+OK\r\n',
  ':12\r\n',
  '$-1\r\n',
  '*-1\r\n',
  '*0\r\n',
  text('\r\n*2\r\n'),
  `*2\r\n${text('a')}$-1\r\n`,
  `*2\r\n${pair('a', 'b')}${text('c')}`,
  `*3\r\n${text('a')}:3\r\n$-1\r\n`,
]

function drawStep(random: SeededRandom, n: number): Step {
  const isCall = random.chance(0.7)
  if (random.chance(0.3)) return { isCall, reply: random.pick(others) }
  const bytes = random.pick([
    '',
    'x',
    '\r',
    '\n*2\r\n$1\r\na\r\n',
    pair('a', 'b').repeat(random.below(40)),
    'y'.repeat(9_000),
  ])
  return { isCall, reply: pair(bytes, `${n}-1`) }
}

const isPair = (reply: string): boolean => /^\*2\r\n\$\d/.test(reply) && !others.includes(reply)

/** Values as ioredis gives them to commands that want Buffers, comparable. */
const plain = (reply: unknown): unknown =>
  Buffer.isBuffer(reply) ? reply.toString('latin1') : Array.isArray(reply) ? reply.map(plain) : reply

/** @param isBeside calls go past ioredis; false: they are commands of its own */
async function play(
  connected: Connected,
  {
    steps,
    chunks,
    random,
    isBeside = true,
  }: { steps: Step[]; chunks: Buffer[]; random: SeededRandom; isBeside?: boolean },
): Promise<unknown[]> {
  const answers: Promise<unknown>[] = []
  let begins = 0
  let received = 0
  for (const chunk of chunks) {
    // A command is sent before its answer comes, and maybe long before.
    for (let step = steps[answers.length]; step !== undefined; step = steps[answers.length]) {
      if (begins >= received + chunk.length && random.chance(0.5)) break
      const answer = isBeside && step.isCall ? connected.call() : connected.redis.callBuffer('FCALL', 'any', '0')
      answers.push(answer.then(plain, (error: Error) => error.message))
      begins += step.reply.length
    }
    connected.receive(chunk)
    received += chunk.length
    if (random.chance(0.1)) await new Promise(setImmediate)
  }
  return Promise.all(answers)
}

test(`however answers are cut, all get what they would of ioredis, which decodes no pair (SEED=${seed})`, async (t) => {
  const random = new SeededRandom(seed)
  const connected = await Connected.open(t)
  for (let round = 0; round < 200; round++) {
    const steps = Array.from({ length: random.between(1, 20) }, (_, n) => drawStep(random, n))
    const stream = Buffer.from(steps.map(({ reply }) => reply).join(''), 'latin1')
    const expected = await play(connected, { steps, chunks: [stream], random, isBeside: false })
    connected.decoded = []
    const left = steps.filter(({ isCall, reply }) => !isCall || !isPair(reply)).map(({ reply }) => reply)
    const bytesMax = random.pick([1, 3, 20, 1_000, stream.length])
    const chunks: Buffer[] = []
    for (let at = 0; at < stream.length; at += chunks.at(-1)?.length ?? 0)
      chunks.push(stream.subarray(at, at + random.between(1, bytesMax)))
    for (const each of [[stream], chunks]) {
      assert.deepEqual(await play(connected, { steps, chunks: each, random }), expected, `round ${round}`)
      assert.equal(connected.takeDecoded(), left.join(''), `round ${round}`)
    }
  }
})

const reply = (n: number): string => pair('results', `${n}-1`)

test('an answer in pieces costs those after it nothing, with another call always out, also behind a command', async (t) => {
  const connected = await Connected.open(t)
  const info = connected.redis.call('INFO', 'server')
  let next = connected.call()
  connected.receive(text('run_id:1\r\n') + reply(0).slice(0, 9))
  assert.equal(await info, 'run_id:1\r\n')
  for (let n = 0; n < 1_000; n++) {
    const call = next
    next = connected.call()
    connected.receive(n === 0 ? reply(n).slice(9) : reply(n))
    assert.deepEqual(plain(await call), ['results', `${n}-1`])
  }
  assert.equal(connected.takeDecoded(), text('run_id:1\r\n'))
  connected.receive(reply(1_000))
  await next
})

test('a large answer in thousands of pieces is joined once', async (t) => {
  const connected = await Connected.open(t)
  const large = Buffer.from(pair('z'.repeat(4_000_000), '1-1'), 'latin1')
  const concat = t.mock.method(Buffer, 'concat')
  const answer = connected.call()
  for (let at = 0; at < large.length; at += 1_000) connected.receive(large.subarray(at, at + 1_000))
  const [first, second] = (await answer) as [Buffer, Buffer]
  assert.equal(concat.mock.callCount(), 1)
  assert.equal(first.length, 4_000_000)
  assert.equal(String(second), '1-1')
})

for (const [how, end] of [
  ['ends', ({ redis }: Connected) => redis.stream.destroy()],
  ['says what is no answer', (connected: Connected) => connected.receive('?\r\n')],
] as const)
  test(`when a connection ${how} in the midst of an answer its calls fail, and nothing of it reaches the next`, async (t) => {
    const connected = await Connected.open(t)
    const lost = [connected.call(), connected.call()].map((call) => call.catch((error: Error) => error.message))
    connected.receive('*2\r\n$1\r\na\r\n')
    const { stream } = connected.redis
    end(connected)
    for (const message of await Promise.all(lost)) assert.match(String(message), /max retries|Unknown RESP type 63/)
    const isAnew = () => connected.redis.stream !== stream && connected.redis.status === 'ready'
    await eventually(isAnew, { what: 'another connection' })
    connected.decoded = []
    const calls = [connected.call(), connected.call()]
    connected.receive(pair('b', '2-1') + pair('c', '3-1'))
    assert.deepEqual(plain(await Promise.all(calls)), [
      ['b', '2-1'],
      ['c', '3-1'],
    ])
    assert.equal(connected.takeDecoded(), '')
  })

import { once } from 'node:events'
import { connect } from 'node:net'
import { connectRedis, firstConnect } from '../../core/redis/connection.ts'
import { DirectCalls } from '../../core/redis/direct-calls.ts'
import { shardKeys } from '../../core/redis/keys.ts'
import { firstShard } from '../../core/shards.ts'
import { startRedisChild } from '../harness/redis-child.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

// A function that only answers, so that what is left is what a call costs this process: `client CPU us`, of which a bare
// socket is the least.

const library = `#!lua name=bench
redis.register_function{function_name = 'bench_texts', callback = function(keys, args)
  return {string.sub(args[1], 1, #args[1] / 3), '1-123456'}
end, flags = {'no-writes'}}`

/** Of a batch of 64 commands, nearly. */
const batchBytes = 3_000
const runBytes = 40
const keys = shardKeys(firstShard).declared([])

type Call = (batch: Buffer) => Promise<unknown>

/** Writes a command and takes what comes for its answer: what no client can do without. */
async function bareSocket(port: number): Promise<{ call: Call; close: () => void }> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  let settle: ((answer: Buffer) => void) | undefined
  socket.on('data', (answer) => settle?.(answer))
  const head = ['FCALL', 'bench_texts', '2', ...keys].map((part) => `$${part.length}\r\n${part}\r\n`).join('')
  const call: Call = (batch) => {
    const before = `*7\r\n${head}$${batch.length}\r\n`
    socket.write(
      Buffer.concat([Buffer.from(before), batch, Buffer.from(`\r\n$${runBytes}\r\n${'r'.repeat(runBytes)}\r\n`)]),
    )
    return new Promise<Buffer>((resolve) => {
      settle = resolve
    })
  }
  return { call, close: () => socket.destroy() }
}

const meter = () => {
  const { user, system } = process.cpuUsage()
  return Promise.resolve({ 'client CPU us': user + system })
}

async function* cases({ smoke }: Scale): AsyncIterable<Case> {
  const operations = smoke ? 4 : 200
  const server = await startRedisChild()
  const [first, second] = [0, 1].map(() => connectRedis(server.settings, { shard: firstShard, name: 'hotcakes-micro' }))
  const bare = await bareSocket(server.settings.port)
  try {
    if (first === undefined || second === undefined) return
    const direct = new DirectCalls(first)
    for (const redis of [first, second]) await firstConnect(redis, server.settings)
    await first.call('FUNCTION', 'LOAD', library)
    const run = 'r'.repeat(runBytes)
    const batch = Buffer.alloc(batchBytes, 'b')
    const parts = ['bench_texts', keys.length, ...keys, batch, run] as const
    const toCandidate = (name: string, call: Call): Candidate => ({
      name,
      isAsync: true,
      operations,
      run: async () => {
        for (let n = 0; n < operations; n++) await call(batch)
      },
      result: async () => {
        const answer = await call(batch)
        return Array.isArray(answer)
          ? answer.map(String)
          : String(answer)
              .split('\r\n')
              .filter((_, n) => n === 2 || n === 4)
      },
      meter,
    })
    yield {
      name: 'call',
      operation: 'call, one after the other',
      candidates: [
        toCandidate('direct', () => direct.call(['FCALL', ...parts])),
        toCandidate('a command of ioredis', () => second.callBuffer('FCALL', ...parts)),
        toCandidate('a bare socket', bare.call),
      ],
    }
  } finally {
    bare.close()
    first?.disconnect()
    second?.disconnect()
    await server.stop()
  }
}

export const directCalls: Subject = {
  name: 'direct-calls',
  about: "a call's way to Redis and back: direct, as a command of ioredis, on a bare socket",
  cases,
}

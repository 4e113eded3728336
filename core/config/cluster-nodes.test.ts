import assert from 'node:assert/strict'
import { test } from 'node:test'

import { listedNodes, nodesProblem, redisPlace } from './cluster-nodes.ts'
import { loadConfig } from './load.ts'

test('nodes are listed with their ports, by name and by address', () => {
  const text = 'redis-1.shop.example:6379, 10.0.0.2:7000,[fd00::3]:6379,'
  assert.equal(nodesProblem(text), undefined)
  assert.deepEqual(listedNodes(text), [
    { host: 'redis-1.shop.example', port: 6379 },
    { host: '10.0.0.2', port: 7000 },
    { host: 'fd00::3', port: 6379 },
  ])
  assert.equal(loadConfig({ env: { REDIS_CLUSTER: text } }).redis.cluster, text)
})

const problems: Readonly<Record<string, RegExp>> = {
  'a:1,b': /^entry 2: it has no port: write host:port$/,
  'redis://:secret@a:1':
    /^entry 1: write the host and the port of this URL alone, put user and password into REDIS_USER/,
  'a:1,rediss://b:2': /^entry 2: write .* alone, and set REDIS_TLS=true$/,
  'user:secret@a:1': /^entry 1: no user belongs in it/,
  '10.0.0.1:7000@17000': /^entry 1: leave out the @ and the port of the bus/,
  '/run/redis.sock': /^entry 1: a Unix socket is not supported/,
  'a:1 b:2': /^entry 1: separate nodes by commas$/,
  'a:1;b:2': /^entry 1: separate nodes by commas$/,
  '::1:6379': /^entry 1: write an IPv6 address in brackets/,
  'a:0': /^entry 1: its port must be from 1 to 65535$/,
  'a:65536': /^entry 1: its port must be/,
  'a_:b:1': /^entry 1: write an IPv6 address in brackets/,
  '10.0.1:6379': /^entry 1: it is no whole IPv4 address$/,
  '-a:1': /^entry 1: it is neither a name nor an address$/,
  'a:1,b:2,A:1': /^entry 3 is the same as entry 1$/,
  '"a:1"': /^leave out the quotes/,
  ',': /^it names no node$/,
}

test('what is pasted and is no list of nodes is named by its place, and not repeated', () => {
  for (const [text, problem] of Object.entries(problems)) {
    assert.match(nodesProblem(text) ?? '', problem, text)
    assert.throws(
      () => loadConfig({ env: { REDIS_CLUSTER: text } }),
      ({ code, message }: { code: string; message: string }) => {
        return (
          code === 'HC_CONFIG' &&
          message.startsWith('REDIS_CLUSTER must be addresses with ports') &&
          !/secret/.test(message)
        )
      },
      text,
    )
  }
})

function nodes(count: number): string {
  return Array.from({ length: count }, (_, at) => `node-${at}:1`).join(',')
}

test('more nodes than anybody needs are refused', () => {
  assert.equal(nodesProblem(nodes(64)), undefined)
  assert.match(nodesProblem(nodes(65)) ?? '', /^it names 65 nodes/)
})

test('where Redis is, is said of one and of a cluster', () => {
  assert.equal(redisPlace({ host: 'fd00::3', port: 1 }), 'Redis at [fd00::3]:1')
  assert.equal(redisPlace({ host: '', port: 6379, cluster: 'a:1,b:2' }), 'the Redis Cluster at a:1,b:2')
})

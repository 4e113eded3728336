import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultWorkers } from './default-workers.ts'

const cores = [1, 2, 3, 4, 7, 64]
const workers = (redis: { host?: string; cluster?: string }) =>
  cores.map((count) => defaultWorkers(count, { host: '', cluster: '', ...redis }))

test('where Redis has the same cores there is a worker for every second one, and one at least', () => {
  const here = [
    {},
    { host: 'localhost' },
    { host: '127.0.0.1' },
    { host: '127.1.2.3' },
    { host: '::1' },
    { cluster: '127.0.0.1:7000,[::1]:7001,localhost:7002' },
  ]
  for (const redis of here) assert.deepEqual(workers(redis), [1, 1, 2, 2, 4, 32], JSON.stringify(redis))
})

test('where Redis has its own there is one for each', () => {
  const elsewhere = [
    { host: 'redis' },
    { host: '10.0.0.1' },
    { host: '128.0.0.1' },
    { host: '::2' },
    { host: '127.example.com' },
    { cluster: '127.0.0.1:7000,10.0.0.1:7000' },
  ]
  for (const redis of elsewhere) assert.deepEqual(workers(redis), cores, JSON.stringify(redis))
})

import assert from 'node:assert/strict'
import cluster from 'node:cluster'
import { completed } from '../core/config/completed.ts'
import type { Config } from '../core/config/load.ts'
import { Fault } from '../core/faults.ts'
import { sendToPrimary, type ToChild } from '../core/ipc.ts'
import { heartbeatIntervalMs, logReadBlockMs, orphanGraceMs, redisCommandTimeoutMs } from '../core/limits.ts'
import { createLog, type Log } from '../core/log.ts'
import { connectRedis, firstConnect } from '../core/redis/connection.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { shardNumbers } from '../core/shards.ts'
import { CopyPool } from './copy-pool.ts'
import { dieAt } from './drain-steps.ts'
import { LogReader } from './log-reader.ts'
import { Persister } from './persister.ts'
import { PersisterMetrics } from './persister-metrics.ts'

/**
 * The assembly point of the persister process. Forked by the primary, which sends `start`; the environment has only
 * one word in it: HOTCAKES_TEST_DIE_AT, for fault tests, see drain-steps.ts.
 */
const dieAtStep = process.env['HOTCAKES_TEST_DIE_AT']
let say: Log = createLog({ level: 'info', process: 'persister' })

process.on('uncaughtException', fail)

// A terminal's Ctrl+C reaches every process of the group; the order of the shutdown is the primary's to give.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
// A child of node:cluster would end at once when the channel closes, in the middle of a transaction.
if (cluster.worker) cluster.worker.exitedAfterDisconnect = true

process.on('message', (message: ToChild) => {
  if (message.type === 'start') start(completed(message.config))
})
sendToPrimary({ type: 'listening' })
setInterval(() => sendToPrimary({ type: 'heartbeat' }), heartbeatIntervalMs).unref()

function start(config: Config): void {
  const [shard, ...others] = shardNumbers
  assert.ok(shard !== undefined && others.length === 0, 'one persister drains one shard')
  const keys = shardKeys(shard)
  say = createLog({ level: config.log.level, process: 'persister' })
  const metrics = new PersisterMetrics()
  const copies = new CopyPool({ settings: config.db, dieAtStep }, fail)
  const store = new SaleStore(config.redis, { name: 'hotcakes persister' })
  const blocking = connectRedis(config.redis, {
    name: 'hotcakes persister log',
    commandTimeoutMs: logReadBlockMs + redisCommandTimeoutMs,
  })
  const persister = new Persister({
    shard,
    keys,
    store,
    log: new LogReader(blocking, keys),
    trimmer: new LogReader(store.redis, keys),
    connect: async () => {
      if (!store.isUp) await store.connect()
      if (blocking.status !== 'ready') await firstConnect(blocking, config.redis)
    },
    copies,
    metrics,
    say,
    reached: dieAt(dieAtStep),
  })

  process.on('message', (message: ToChild) => {
    if (message.type === 'metrics') void answerMetrics(metrics, message.id)
    if (message.type === 'drain') persister.drain()
  })
  process.on('disconnect', () => {
    persister.stop()
    // The copy thread may hang in a call that nothing can interrupt, and process.exit would wait for it.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), orphanGraceMs)
  })
  persister.run().then(async (how) => {
    say.info(how === 'drained' ? 'the log is drained to its end' : 'stopped')
    await copies.close()
    process.exit(0)
  }, fail)
  say.info('started')
  sendToPrimary({ type: 'ready' })
}

async function answerMetrics({ registry }: PersisterMetrics, id: number): Promise<void> {
  sendToPrimary({ type: 'metrics', id, metrics: await registry.getMetricsAsJSON() })
}

/** A Fault here ended the drain: entries are left in Redis. Anything else is a bug, or the copy thread's death. */
function fail(error: unknown): void {
  // The death of the copy thread also fails the task that it was running.
  if (process.exitCode !== undefined) return
  process.exitCode = 1
  if (error instanceof Fault) {
    const what = `the log is not drained to its end, because ${stops(error)} (${error.code}): ${error.message}`
    say.fatal({ code: error.code }, what)
    sendToPrimary({ type: 'left', what })
  } else {
    say.fatal({ err: error }, 'a bug')
    sendToPrimary({ type: 'failed', code: 'bug', message: String(error) })
  }
  setImmediate(() => process.exit())
}

function stops({ code }: Fault): string {
  return code.startsWith('HC_LOG_') ? 'the log itself is at fault' : 'Postgres refuses its rows'
}

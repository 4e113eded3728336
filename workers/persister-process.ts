import assert from 'node:assert/strict'
import cluster from 'node:cluster'
import { completed } from '../core/config/completed.ts'
import type { Config } from '../core/config/load.ts'
import { Fault } from '../core/faults.ts'
import { sendToPrimary, type ToChild } from '../core/ipc.ts'
import { heartbeatIntervalMs, logReadBlockMs, orphanGraceMs, redisCommandTimeoutMs } from '../core/limits.ts'
import { createLog, type Log } from '../core/log.ts'
import { connectRedis, firstConnect } from '../core/redis/connection.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { shardNumbers } from '../core/shards.ts'
import { CopyPool } from './copy-pool.ts'
import type { StepHook } from './drain-steps.ts'
import { LogReader } from './log-reader.ts'
import { Persister } from './persister.ts'
import { PersisterMetrics } from './persister-metrics.ts'

/** What a program may choose: a test's persister dies at a step, in the main thread or in its copy thread. */
export interface PersisterProgram {
  /** The file of the copy thread, see copy-thread.ts. */
  readonly copyThread: URL
  /** For the steps of the main thread. */
  readonly reached: StepHook
}

/** The assembly point of the persister process, and its side of the channel to the primary. */
export class PersisterProcess {
  readonly #program: PersisterProgram
  #log: Log = createLog({ level: 'info', process: 'persister' })

  constructor(program: PersisterProgram) {
    this.#program = program
  }

  /** The primary answers with `start`. */
  listen(): void {
    process.on('uncaughtException', this.#fail)
    // A terminal's Ctrl+C reaches every process of the group; the order of the shutdown is the primary's to give.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
    // A child of node:cluster would end at once when the channel closes, in the middle of a transaction.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    process.on('message', (message: ToChild) => {
      if (message.type === 'start') this.#start(completed(message.config))
    })
    sendToPrimary({ type: 'listening' })
    setInterval(() => sendToPrimary({ type: 'heartbeat' }), heartbeatIntervalMs).unref()
  }

  #start(config: Config): void {
    const log = createLog({ level: config.log.level, process: 'persister' })
    this.#log = log
    const thread = { file: this.#program.copyThread, data: { settings: config.db } }
    const copies = new CopyPool({ thread, onThreadLost: this.#fail })
    const metrics = new PersisterMetrics()
    const persister = this.#assemble(config, { log, copies, metrics })

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
      log.info(how === 'drained' ? 'the log is drained to its end' : 'stopped')
      await copies.close()
      process.exit(0)
    }, this.#fail)
    log.info('started')
    sendToPrimary({ type: 'ready' })
  }

  #assemble(config: Config, parts: { log: Log; copies: CopyPool; metrics: PersisterMetrics }): Persister {
    const [shard, ...others] = shardNumbers
    assert.ok(shard !== undefined && others.length === 0, 'one persister drains one shard')
    const store = new SaleStore(config.redis, { shard, name: 'hotcakes persister' })
    const { keys } = store
    const blocking = connectRedis(config.redis, {
      name: 'hotcakes persister log',
      commandTimeoutMs: logReadBlockMs + redisCommandTimeoutMs,
    })
    return new Persister({
      ...parts,
      shard,
      keys,
      store,
      reader: new LogReader(blocking, keys),
      trimmer: new LogReader(store.redis, keys),
      connect: async () => {
        if (!store.isUp) await store.connect()
        if (blocking.status !== 'ready') await firstConnect(blocking, config.redis)
      },
      reached: this.#program.reached,
    })
  }

  /** A Fault here ended the drain: entries are left in Redis. Anything else is a bug, or the copy thread's death. */
  readonly #fail = (error: unknown): void => {
    // The death of the copy thread also fails the task that it was running.
    if (process.exitCode !== undefined) return
    process.exitCode = 1
    if (error instanceof Fault) {
      const what = `the log is not drained to its end, because ${stops(error)} (${error.code}): ${error.message}`
      this.#log.fatal({ code: error.code }, what)
      sendToPrimary({ type: 'left', what })
    } else {
      this.#log.fatal({ err: error }, 'a bug')
      sendToPrimary({ type: 'failed', code: 'bug', message: String(error) })
    }
    setImmediate(() => process.exit())
  }
}

async function answerMetrics({ registry }: PersisterMetrics, id: number): Promise<void> {
  sendToPrimary({ type: 'metrics', id, metrics: await registry.getMetricsAsJSON() })
}

function stops({ code }: Fault): string {
  return code.startsWith('HC_LOG_') ? 'the log itself is at fault' : 'Postgres refuses its rows'
}

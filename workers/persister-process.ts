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
import { type Tracing, tracingOf } from '../core/tracing/tracing.ts'
import { CommitTracing } from './commit-tracing.ts'
import { CopyPool } from './copy-pool.ts'
import type { StepHook } from './drain-steps.ts'
import { LogReader, LogTrimmer } from './log-reader.ts'
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
    const tracing = tracingOf(config, { registry: metrics.registry, log, process: metrics.process })
    const drains = shardNumbers(config.shardCount).map((shard) =>
      this.#drainOf(config, { shard, log, copies, metrics, tracing }),
    )

    process.on('message', (message: ToChild) => {
      if (message.type === 'metrics') void answerMetrics(metrics, message.id)
      if (message.type === 'drain') for (const { persister } of drains) persister.drain()
    })
    process.on('disconnect', () => {
      for (const { persister } of drains) persister.stop()
      // The copy thread may hang in a call that nothing can interrupt, and process.exit would wait for it.
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), orphanGraceMs)
    })
    this.#runAll(drains, { copies, tracing }).catch(this.#fail)
    log.info('started')
    sendToPrimary({ type: 'ready' })
  }

  async #runAll(drains: readonly Drain[], { copies, tracing }: Pick<DrainParts, 'copies' | 'tracing'>): Promise<void> {
    await tracing?.open()
    const ends = await Promise.all(drains.map((drain) => this.#run(drain)))
    await copies.close()
    await tracing?.close()
    process.exit(ends.includes('left') ? 1 : 0)
  }

  /** Ends when the shard's log is drained, or no wait would help it: the others go on. @throws what is a bug */
  async #run({ persister, log, of }: Drain): Promise<'drained' | 'stopped' | 'left'> {
    try {
      const how = await persister.run()
      log.info(how === 'drained' ? 'the log is drained to its end' : 'stopped')
      return how
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const why = `because ${stops(error)} (${error.code}): ${error.message}`
      const what = `the log${of} is not drained to its end, ${why}`
      log.fatal({ code: error.code }, what)
      sendToPrimary({ type: 'left', what })
      return 'left'
    }
  }

  #drainOf(config: Config, parts: DrainParts): Drain {
    const { shard, copies, metrics, tracing } = parts
    // Where there is one, nobody needs to know of shards.
    const isAlone = config.shardCount === 1
    const log = isAlone ? parts.log : parts.log.child({ shard })
    const store = new SaleStore(config.redis, { shard, name: 'hotcakes persister' })
    const { keys } = store
    const blocking = connectRedis(config.redis, {
      shard,
      name: 'hotcakes persister log',
      commandTimeoutMs: logReadBlockMs + redisCommandTimeoutMs,
    })
    const persister = new Persister({
      shard,
      keys,
      store,
      log,
      copies,
      isAlone,
      metrics: metrics.ofShard(shard),
      commits: tracing && new CommitTracing(tracing, shard),
      reader: new LogReader(blocking, keys),
      trimmer: new LogTrimmer(store.redis, keys),
      connect: async () => {
        if (!store.isUp) await store.connect()
        if (blocking.status !== 'ready') await firstConnect(blocking, config.redis)
      },
      reached: this.#program.reached,
    })
    return { persister, log, of: isAlone ? '' : ` of shard ${shard}` }
  }

  /** A bug, or the copy thread's death: it ends all. */
  readonly #fail = (error: unknown): void => {
    // The death of the copy thread also fails the task that it was running.
    if (process.exitCode !== undefined) return
    process.exitCode = 1
    this.#log.fatal({ err: error }, 'a bug')
    sendToPrimary({ type: 'failed', code: 'bug', message: String(error) })
    setImmediate(() => process.exit())
  }
}

interface DrainParts {
  readonly shard: number
  readonly log: Log
  readonly copies: CopyPool
  readonly metrics: PersisterMetrics
  readonly tracing: Tracing | undefined
}

/** The drain of one shard. */
interface Drain {
  readonly persister: Persister
  readonly log: Log
  /** For sentences about its log: whose it is. */
  readonly of: string
}

async function answerMetrics({ registry }: PersisterMetrics, id: number): Promise<void> {
  sendToPrimary({ type: 'metrics', id, metrics: await registry.getMetricsAsJSON() })
}

function stops({ code }: Fault): string {
  if (code.startsWith('HC_REDIS_')) return 'its Redis is out of reach'
  if (code === 'HC_RUN_REPLACED') return 'its Redis is not admitted'
  return code.startsWith('HC_LOG_') ? 'the log itself is at fault' : 'Postgres refuses its rows'
}

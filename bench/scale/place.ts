import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { shardNumbers } from '../../core/shards.ts'
import { firstMessage, loadedMsMax } from '../harness/first-message.ts'
import { type RedisNodes, startRedisNodes } from '../harness/redis-nodes.ts'
import { compiled, type RunningHotcakes, runProgram, startHotcakes } from '../harness/server-under-test.ts'
import { stopChild } from '../harness/stop-child.ts'
import { pin } from '../overload/pinning.ts'
import type { Order, RunOrder, RunResult, Said } from './orders.ts'

const drainMsMax = 900_000
const pollMs = 250
const stopMsMax = 5_000

export interface PlacePlan {
  /** In the tables. */
  readonly name: string
  readonly shards: number
  readonly isCluster: boolean
  readonly generators: number
  /** Cores of the Redis of each shard, and of each generator; undefined: all share all. */
  readonly pinning: { readonly redis: readonly string[]; readonly generators: readonly string[] } | undefined
}

/** A Redis Cluster with a record of its own, and what loads it. */
export class Place {
  readonly plan: PlacePlan
  readonly redis: RedisNodes
  readonly #dataDir: string
  readonly #generators: readonly ChildProcess[]

  private constructor(
    plan: PlacePlan,
    parts: { redis: RedisNodes; dataDir: string; generators: readonly ChildProcess[] },
  ) {
    this.plan = plan
    this.redis = parts.redis
    this.#dataDir = parts.dataDir
    this.#generators = parts.generators
  }

  /** A whole server makes the record and admits the runs of Redis; then it leaves, and the generators come. */
  static async open(plan: PlacePlan): Promise<Place> {
    const dataDir = mkdtempSync(join(tmpdir(), 'hotcakes-scale-'))
    process.once('exit', () => rmSync(dataDir, { recursive: true, force: true }))
    const redis = await startRedisNodes(plan.shards, plan)
    const generators: ChildProcess[] = []
    const place = new Place(plan, { redis, dataDir, generators })
    try {
      await (await place.#startServer()).stop()
      for (let number = 0; number < plan.generators; number++) {
        const child = fork(compiled('../scale/generator-process.js'))
        generators.push(child)
        const { host, port, cluster } = redis.settings
        const address = cluster === undefined ? { host, port } : { host, port, cluster }
        await place.#tell(child, {
          kind: 'place',
          redis: address,
          shards: plan.shards,
          generator: number,
          generators: plan.generators,
        })
        pinTo(child.pid, plan.pinning?.generators[number])
      }
      for (const [shard, pid] of redis.pids.entries()) pinTo(pid, plan.pinning?.redis[shard])
      return place
    } catch (error) {
      await place.close()
      throw error
    }
  }

  /** Of each generator. */
  async run(order: RunOrder): Promise<RunResult[]> {
    const said = await Promise.all(this.#generators.map((child) => this.#tell(child, order)))
    return said.flatMap((one) => (one.kind === 'result' ? [one.result] : []))
  }

  /** The persister of a whole server drains all logs, and `npm run audit` looks at all shards. Returns what is wrong. */
  async audit(): Promise<string[]> {
    const server = await this.#startServer()
    try {
      await this.#drained()
      const { exitCode, stdout } = await runProgram('../../ops/tools/audit/main.js', ['--json'], server)
      const { verdict, checks = [] } = JSON.parse(stdout) as AuditJson
      if (exitCode === 0) return []
      const breached = checks.flatMap(({ check, breaches }) => (breaches > 0 ? [`${check}: ${breaches}`] : []))
      return [`the audit is ${verdict}: ${breached.join(', ')}`]
    } finally {
      await server.stop()
    }
  }

  async close(): Promise<void> {
    for (const child of this.#generators) child.disconnect()
    await Promise.all(this.#generators.map((child) => stopChild(child, stopMsMax)))
    await this.redis.stop()
    rmSync(this.#dataDir, { recursive: true, force: true })
  }

  #startServer(): Promise<RunningHotcakes> {
    const { cluster = '', host, port } = this.redis.settings
    return startHotcakes({
      ...(cluster === '' ? { REDIS_HOST: host, REDIS_PORT: String(port) } : { REDIS_CLUSTER: cluster }),
      APP_SHARDS: String(this.plan.shards),
      APP_WORKERS: '1',
      // Kept from one server to the next.
      APP_DATA_DIR: this.#dataDir,
      // Its own sale is none of those that are measured.
      APP_SALE_INTERVAL_SECONDS: '2592000',
      LOG_LEVEL: 'error',
    })
  }

  async #tell(child: ChildProcess, order: Order): Promise<Said> {
    const answer = firstMessage<Said>(child, order.kind === 'run' ? undefined : loadedMsMax)
    child.send(order)
    return await answer
  }

  async #drained(): Promise<void> {
    const deadline = performance.now() + drainMsMax
    for (const shard of shardNumbers(this.plan.shards)) {
      const store = new SaleStore(this.redis.settings, { shard, name: 'hotcakes-bench' })
      try {
        await store.connect()
        while ((await store.logState()).backlogEntries > 0) {
          if (performance.now() > deadline) throw new Error(`the log did not drain in ${drainMsMax} ms`)
          await delay(pollMs)
        }
      } finally {
        store.close()
      }
    }
  }
}

interface AuditJson {
  readonly verdict: string
  readonly checks?: readonly { readonly check: string; readonly breaches: number }[]
}

function pinTo(pid: number | undefined, cores: string | undefined): void {
  if (pid !== undefined && cores !== undefined) pin(pid, cores)
}

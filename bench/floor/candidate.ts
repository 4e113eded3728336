import { readFileSync } from 'node:fs'
import { askNode, type RedisSettings } from '../../core/redis/connection.ts'
import { infoFields } from '../../core/redis/info.ts'
import { metricSum } from '../harness/metric-sum.ts'
import { cpuSecondsBelow, cpuSecondsOf, roleOf } from '../harness/process-cpu.ts'
import { programsOf } from '../harness/programs.ts'
import { type RedisChild, startRedisChild } from '../harness/redis-child.ts'
import { type RunningHotcakes, runProgram, startHotcakes, startServer } from '../harness/server-under-test.ts'
import { drained } from '../load/server-view.ts'

/** A server that is loaded in turn with others. */
export interface Candidate {
  readonly name: string
  readonly url: string
  /** What it has used up so far. Waits first until it has nothing left to do for what it answered. */
  used(): Promise<Use>
  /** Of hotcakes: whether its record is right. */
  audit?(): Promise<boolean>
  stop(): Promise<void>
}

/** Totals since the start. */
export interface Use {
  /** Role -> CPU seconds. */
  readonly cpuSeconds: ReadonlyMap<string, number>
  readonly calls: number
  readonly commands: number
  readonly fsyncs: number
  /** Outcome -> how often the HTTP workers were told it. */
  readonly outcomes: ReadonlyMap<string, number>
}

export interface HotcakesPlan {
  readonly workers: number
  readonly items: number
  /** A built checkout of another version; `undefined`: this one. */
  readonly folder?: string
  /** Settings of the server that differ from those of all. */
  readonly env?: Readonly<Record<string, string>>
  /** Of its Redis' configuration, besides what makes each answer durable. */
  readonly redisLines?: readonly string[]
}

/** What else is to be known of a hotcakes than of any server. */
export interface HotcakesCandidate extends Candidate {
  readonly hotcakes: RunningHotcakes
  readonly redis: RedisSettings
  audit(signal?: AbortSignal): Promise<boolean>
}

const drainMsMax = 120_000

/** The floor: its one process parses the parameters and answers `bodyBytes`. */
export async function startFloor(bodyBytes: number): Promise<Candidate> {
  const server = await startServer('../floor/floor-server.js', [String(bodyBytes)])
  return {
    name: 'floor',
    url: server.url,
    used: async () => ({
      cpuSeconds: new Map([['HTTP', cpuSecondsOf(server.pid)]]),
      calls: 0,
      commands: 0,
      fsyncs: 0,
      outcomes: new Map(),
    }),
    stop: async () => await server.stop(),
  }
}

/** A whole hotcakes on a Redis of its own, which syncs before each answer, and on the Postgres it has embedded. */
export async function startCandidate(
  name: string,
  { workers, items, folder, env = {}, redisLines = [] }: HotcakesPlan,
): Promise<HotcakesCandidate> {
  const programs = programsOf(folder)
  const redis = await startRedisChild(redisLines)
  const settings = {
    REDIS_HOST: redis.settings.host,
    REDIS_PORT: String(redis.settings.port),
    APP_WORKERS: String(workers),
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: '1000',
    APP_SALE_INTERVAL_SECONDS: '86400',
    ...env,
  }
  const hotcakes = await startHotcakes(settings, { program: programs.server }).catch(async (error: unknown) => {
    await redis.stop()
    throw error
  })
  return {
    name,
    url: hotcakes.url,
    hotcakes,
    redis: redis.settings,
    used: async () => {
      if ((await drained(hotcakes.url, drainMsMax, new AbortController().signal)) === undefined)
        throw new Error(`the log did not drain within ${drainMsMax} ms`)
      return await useOf(hotcakes, redis)
    },
    audit: async (signal?: AbortSignal) => {
      const { env: ownEnv, cwd } = hotcakes
      const place = { env: ownEnv, cwd, ...(signal && { signal }) }
      return (await runProgram(programs.audit, [], place)).exitCode === 0
    },
    stop: async () => {
      await hotcakes.stop()
      await redis.stop()
    },
  }
}

async function useOf(hotcakes: RunningHotcakes, redis: RedisChild): Promise<Use> {
  // Over a connection of its own: one that was kept may be closed by the server while we were too busy to hear of it.
  const metrics = await (await fetch(hotcakes.metricsUrl, { headers: { connection: 'close' } })).text()
  const cpuSeconds = new Map([...cpuSecondsBelow(hotcakes.pid, roleOf)].map(([role, used]) => [shortRole(role), used]))
  cpuSeconds.set('Redis', cpuSecondsOf(redis.pid))
  return {
    cpuSeconds,
    calls: metricSum(metrics, 'hotcakes_batch_commands_count'),
    commands: metricSum(metrics, 'hotcakes_batch_commands_sum'),
    fsyncs: await fsyncsOf(redis),
    outcomes: outcomesIn(metrics),
  }
}

const shortRole = (role: string): string => (role === 'HTTP workers' ? 'HTTP' : role)

function outcomesIn(metrics: string): Map<string, number> {
  const series = metrics.matchAll(/^hotcakes_outcomes_total\{[^}]*outcome="(\w+)"[^}]*\} (\S+)$/gm)
  return new Map([...series].map(([, outcome = '', count]) => [outcome, Number(count)]))
}

/**
 * Redis writes its append-only file once for all that it did between two answers, and syncs it then; it has no count of
 * that. Its other writes are answers, which it does count. (Held against strace: the same within 4 %, and what
 * strace missed while it started and ended is in that.)
 */
async function fsyncsOf(redis: RedisChild): Promise<number> {
  const info = infoFields(
    await askNode(redis.settings, redis.settings, async (connection) => await connection.info('stats')),
  )
  const writes = /^syscw: (\d+)$/m.exec(readFileSync(`/proc/${redis.pid}/io`, 'utf8'))?.[1]
  return Number(writes) - Number(info.get('total_writes_processed'))
}

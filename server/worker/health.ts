import type { WorkerHealth } from '../../core/ipc.ts'
import type { PersisterTrouble } from '../../core/redis/persister-state.ts'
import type { LogState } from '../../core/redis/sale-store.ts'
import type { ShardState } from '../../core/shard-state.ts'
import type { KeysFacts } from './buyers/token-keys.ts'
import type { Exchange } from './http/exchange.ts'
import { okHead } from './http/replies.ts'
import type { ReplicaFacts } from './selling/replica-acks.ts'
import type { ShardFacts } from './selling/shard.ts'

/** What the readiness of one HTTP worker is judged by; for the whole server see server-health.ts. */
export interface HealthFacts extends ShardFacts {
  readonly isDraining: boolean
  readonly backlogMax: number
  /** APP_ACK=postgres. */
  readonly needsPostgres: boolean
  /** The current sale's number, once Redis has told the time, and whether it is open in Redis. */
  readonly sale: number | undefined
  readonly isSaleOpen: boolean
  /** With APP_BUYERS=signed. */
  readonly keys?: KeysFacts | undefined
}

export interface HealthReport extends WorkerHealth {
  readonly checks: Readonly<
    Record<'server' | 'redis' | 'record' | 'postgres' | 'log' | 'sale', { readonly status: string }> & {
      /** With APP_ACK=replica. */
      readonly replicas?: ReplicaFacts
      /** With APP_BUYERS=signed. */
      readonly keys?: KeysFacts
    }
  >
}

/**
 * Selling needs Redis, an open sale and room in the log. It doesn't need Postgres, unless purchases have to be in there
 * before they are answered: while it is away the log grows, and only when it has grown past its bound, or Redis is near
 * the end of its memory, no more may come in.
 */
export function judgeHealth(facts: HealthFacts): HealthReport {
  const { logState, logLack, backlogMax } = facts
  const postgres = postgresCheck(logState)
  const logFault = logFaultOf(logState)
  // Where nothing gets into Postgres it doesn't matter here which side is to blame.
  const isRecording = postgres.status === 'up' && logFault === undefined
  const checks = {
    server: { status: facts.isDraining ? 'draining' : 'serving' },
    redis: { status: facts.isRedisUp ? 'up' : 'down', ...(facts.redisFault && { fault: facts.redisFault }) },
    record: recordCheck(facts),
    postgres,
    log: {
      status: logState === undefined ? 'unknown' : (logLack ?? (logFault === undefined ? 'ok' : 'fault')),
      ...logFault,
      backlog_entries: logState?.backlogEntries,
      backlog_max: backlogMax,
      lag_seconds: logState?.lagSeconds,
    },
    sale: { status: facts.isSaleOpen ? 'open' : 'opening', id: facts.sale },
    ...(facts.replicas && { replicas: facts.replicas }),
    ...(facts.keys && { keys: facts.keys }),
  }
  const isKept = facts.replicas === undefined || facts.replicas.status === 'complete'
  const keysAre = facts.keys?.status ?? 'fresh'
  const hasRecord = logState !== undefined && logLack === undefined && (isRecording || !facts.needsPostgres)
  const sells =
    !facts.isDraining && facts.isRedisUp && facts.isSound && hasRecord && facts.isSaleOpen && keysAre !== 'expired'
  return { status: sells ? (isRecording && isKept && keysAre === 'fresh' ? 'ready' : 'degraded') : 'not_ready', checks }
}

/** The primary may not have told yet what it is about to find out. Of a Redis that was never looked at nothing is known. */
function recordCheck({ isSound, primaryState, logState }: ShardFacts): ShardState {
  if (isSound && logState !== undefined) return { status: 'sound' }
  return primaryState === undefined || primaryState.status === 'sound' ? { status: 'unverified' } : primaryState
}

interface PostgresCheck extends Partial<PersisterTrouble> {
  readonly status: 'up' | 'away' | 'refused' | 'locked' | 'unknown'
}

/** Known from what the persister says in Redis: this process has a connection to Postgres only while it reads. */
function postgresCheck(logState: LogState | undefined): PostgresCheck {
  const persister = logState?.persister
  switch (persister?.state) {
    case undefined:
      return { status: 'unknown' }
    case 'away':
    case 'refused':
    case 'locked':
      return { status: persister.state, ...shown(persister.trouble) }
    case 'active':
    case 'standby':
    case 'log_fault':
      return { status: 'up' }
  }
}

/** The log has entries that can't be copied, or lacks some: Postgres is not to blame. */
function logFaultOf(logState: LogState | undefined): Partial<PersisterTrouble> | undefined {
  return logState?.persister?.state === 'log_fault' ? shown(logState.persister.trouble) : undefined
}

function shown(trouble: PersisterTrouble | undefined): Partial<PersisterTrouble> {
  if (trouble === undefined) return {}
  return trouble.reason === '' ? { fault: trouble.fault } : trouble
}

export interface FactsOfShard extends HealthFacts {
  readonly shard: number
}

/** One shard alone, with the checks that it was judged by; what concerns the whole worker is left out. */
interface ShardHealth extends Omit<HealthReport['checks'], 'server' | 'keys'> {
  readonly shard: number
  readonly status: WorkerHealth['status']
}

/** complete: each sells; missing: some do; none: none does. */
export interface ShardsCheck {
  readonly status: 'complete' | 'missing' | 'none'
  readonly ready: number
  readonly of: number
  /** Those that don't sell; absent when each does. */
  readonly missing?: readonly number[]
  readonly each: readonly ShardHealth[]
}

const severity = { ready: 0, degraded: 1, not_ready: 2 } as const

/**
 * Of a worker with several shards: as long as one of them sells, what the others have is what is missing. The checks are
 * those of the shard that is worst off, and all of them are listed.
 */
export function judgeShards(facts: readonly FactsOfShard[]): WorkerHealth {
  const reports = facts.map((each) => ({ shard: each.shard, ...judgeHealth(each) }))
  const worst = reports.reduce((a, b) => (severity[b.status] > severity[a.status] ? b : a))
  const missing = reports.filter(({ status }) => status === 'not_ready').map(({ shard }) => shard)
  const ready = reports.length - missing.length
  const shards: ShardsCheck = {
    status: ready === reports.length ? 'complete' : ready > 0 ? 'missing' : 'none',
    ready,
    of: reports.length,
    ...(missing.length > 0 && { missing }),
    each: reports.map(({ shard, status, checks: { redis, record, postgres, log, sale, replicas } }) => {
      return { shard, status, redis, record, postgres, log, sale, ...(replicas && { replicas }) }
    }),
  }
  const status = worst.status === 'not_ready' && ready > 0 ? 'degraded' : worst.status
  return { status, checks: { ...worst.checks, shards } }
}

/** `GET /livez`: the process turns. Whether it can sell is not asked: a restart would not bring Redis back. */
export function answerLive(exchange: Exchange): void {
  exchange.answer(okHead, '{"status":"live"}')
}

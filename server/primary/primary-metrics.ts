import { Counter, Gauge, Registry } from 'prom-client'

import { auditVerdicts } from '../../core/audit-verdict.ts'
import { builtCommit } from '../../core/built-commit.ts'
import type { ChildKind } from '../../core/ipc.ts'
import { metricsGatherMsMax } from '../../core/limits.ts'
import { registerProcessMetrics } from '../../core/process-metrics.ts'
import { firstShard } from '../../core/shards.ts'
import { msPerDay } from '../../core/time.ts'
import type { LastAudit } from './audit-watch.ts'
import type { ReportingChild } from './cluster-metrics.ts'
import type { Report } from './metric-reports.ts'
import type { PrimaryShard } from './primary-shard.ts'
import type { RecordDays } from './record-days.ts'
import type { ReloadResult } from './rolling-reload.ts'
import { countedPlaces, type Supervisor } from './supervisor.ts'

/** Gauges of the time since they were last asked, see ClusterMetrics. */
export const peakGauges: ReadonlySet<string> = new Set(['hotcakes_event_loop_delay_seconds'])

const backlogName = 'hotcakes_log_backlog_entries'
const kinds: readonly ChildKind[] = ['http', 'persister']
const reloadResults: readonly ReloadResult[] = ['done', 'failed']

export interface PrimaryMetricsOptions {
  readonly version: string
  readonly supervisor: Pick<Supervisor, 'count'>
  /** Asked for their logs when no persister reports on them. */
  readonly shards: readonly Pick<PrimaryShard, 'number' | 'isDurable' | 'logStateWithin'>[]
  readonly lastAudit: () => LastAudit | undefined
  readonly recordDays: Pick<RecordDays, 'days' | 'check'>
}

/** The primary's own numbers: on its children, and on the log while there is no persister to report on it. */
export class PrimaryMetrics {
  readonly #registry = new Registry()
  readonly #options: PrimaryMetricsOptions
  readonly #restarts: Counter<'kind'>
  readonly #reloads: Counter<'result'>
  readonly #unresponsive: Gauge<'kind' | 'number'>
  readonly #sound: Gauge<'shard'>
  readonly #recoveries: Counter<'shard'>
  readonly #backlog: Gauge<'shard'>
  readonly #lag: Gauge<'shard'>

  constructor(options: PrimaryMetricsOptions) {
    this.#options = options
    const registers = [this.#registry]
    registerProcessMetrics(this.#registry, { process: 'primary', number: '1' })
    registerWorkers(this.#registry, options.supervisor)
    registerAudit(this.#registry, options.lastAudit)
    registerRecordDays(this.#registry, options.recordDays)
    const build = new Gauge({
      name: 'hotcakes_build_info',
      help: 'The version that runs; the value is always 1.',
      labelNames: ['version', 'commit', 'node'] as const,
      registers,
    })
    build.set({ version: options.version, commit: builtCommit(), node: process.version }, 1)
    this.#restarts = new Counter({
      name: 'hotcakes_worker_restarts_total',
      help: 'Child processes that were started in place of one that died.',
      labelNames: ['kind'] as const,
      registers,
    })
    for (const kind of kinds) this.#restarts.inc({ kind }, 0)
    this.#reloads = new Counter({
      name: 'hotcakes_reloads_total',
      help: 'Rolling reloads of the HTTP workers that have ended.',
      labelNames: ['result'] as const,
      registers,
    })
    for (const result of reloadResults) this.#reloads.inc({ result }, 0)
    this.#unresponsive = new Gauge({
      name: 'hotcakes_worker_unresponsive',
      help: 'Child processes that did not answer this scrape: their counters are their last known ones.',
      labelNames: ['kind', 'number'] as const,
      registers,
    })
    registerDurability(this.#registry, options.shards)
    this.#sound = new Gauge({
      name: 'hotcakes_record_sound',
      help: 'Whether Redis is known to have everything that was sold: with 0 nothing is sold from the shard.',
      labelNames: ['shard'],
      registers,
    })
    this.#recoveries = new Counter({
      name: 'hotcakes_recoveries_total',
      help: 'How often the live sales were rebuilt from Postgres.',
      labelNames: ['shard'],
      registers,
    })
    for (const { number: shard } of options.shards) {
      this.#sound.set({ shard }, 0)
      this.#recoveries.inc({ shard }, 0)
    }
    this.#backlog = new Gauge({
      name: backlogName,
      help: 'Log entries that are not yet in Postgres.',
      labelNames: ['shard'],
      registers,
    })
    this.#lag = new Gauge({
      name: 'hotcakes_log_lag_seconds',
      help: 'Age of the oldest log entry that is not yet in Postgres.',
      labelNames: ['shard'],
      registers,
    })
  }

  restarted(kind: ChildKind): void {
    this.#restarts.inc({ kind })
  }

  reloaded(result: ReloadResult): void {
    this.#reloads.inc({ result })
  }

  setSound(shard: number, isSound: boolean): void {
    this.#sound.set({ shard }, isSound ? 1 : 0)
  }

  recovered(shard: number): void {
    this.#recoveries.inc({ shard })
  }

  /** See ClusterMetricsOptions.ownReport. */
  async report(silent: readonly ReportingChild[], current: readonly Report[]): Promise<Report> {
    this.#unresponsive.reset()
    for (const { kind, number } of silent) this.#unresponsive.set({ kind, number: String(number) }, 1)

    this.#backlog.reset()
    this.#lag.reset()
    await this.#measureLogs(reportedShards(current))
    return (await this.#registry.getMetricsAsJSON()) as unknown as Report
  }

  /** Those that no persister reports on. No series of one that is not known. */
  async #measureLogs(reported: ReadonlySet<string>): Promise<void> {
    const shards = this.#options.shards.filter(({ number }) => !reported.has(String(number)))
    const states = await Promise.all(shards.map((shard) => shard.logStateWithin(metricsGatherMsMax)))
    for (const [place, { number: shard }] of shards.entries()) {
      const state = states[place]
      if (state === undefined) continue
      this.#backlog.set({ shard }, state.backlogEntries)
      this.#lag.set({ shard }, state.lagSeconds)
    }
  }
}

function reportedShards(current: readonly Report[]): Set<string> {
  const values = current.flatMap((report) => report.filter(({ name }) => name === backlogName)).flatMap((m) => m.values)
  return new Set(values.map(({ labels }) => String(labels['shard'] ?? firstShard)))
}

function registerWorkers(registry: Registry, supervisor: Pick<Supervisor, 'count'>): void {
  const workers = new Gauge({
    name: 'hotcakes_workers',
    help: 'Child processes by kind and state; waiting: the back-off before a replacement runs.',
    labelNames: ['kind', 'state'] as const,
    registers: [registry],
    collect() {
      for (const kind of kinds)
        for (const state of countedPlaces) workers.set({ kind, state }, supervisor.count(kind, state))
    },
  })
}

function registerDurability(registry: Registry, shards: PrimaryMetricsOptions['shards']): void {
  const durable = new Gauge({
    name: 'hotcakes_redis_durable',
    help: 'Whether Redis, as it is set up, keeps everything that it acknowledges.',
    labelNames: ['shard'],
    registers: [registry],
    collect() {
      for (const { number: shard, isDurable } of shards) durable.set({ shard }, isDurable ? 1 : 0)
    },
  })
}

function registerAudit(registry: Registry, lastAudit: () => LastAudit | undefined): void {
  const verdict = new Gauge({
    name: 'hotcakes_audit_verdict',
    help: '1 for what the last audit of the whole record found, 0 for the others; no series before the first audit.',
    labelNames: ['verdict'] as const,
    registers: [registry],
    collect() {
      const last = lastAudit()
      if (last === undefined) return
      for (const one of auditVerdicts) verdict.set({ verdict: one }, one === last.verdict ? 1 : 0)
    },
  })
  const started = new Gauge({
    name: 'hotcakes_audit_started_timestamp_seconds',
    help: 'When that audit began, by the clock of its machine.',
    labelNames: [] as const,
    registers: [registry],
    collect() {
      const last = lastAudit()
      if (last === undefined) started.remove()
      else started.set(last.startedSeconds)
    },
  })
}

function registerRecordDays(registry: Registry, recordDays: PrimaryMetricsOptions['recordDays']): void {
  const days = new Gauge({
    name: 'hotcakes_record_age_seconds',
    help: 'How many days ago (UTC) the oldest day is that has attempts on record, in seconds; no series before Postgres was asked.',
    labelNames: [] as const,
    registers: [registry],
    collect() {
      if (recordDays.days === undefined) days.remove()
      else days.set((recordDays.days * msPerDay) / 1_000)
    },
  })
  const over = new Gauge({
    name: 'hotcakes_record_too_old',
    help: '1 while the record has older days than APP_RECORD_DAYS, otherwise 0, without that setting too.',
    labelNames: [] as const,
    registers: [registry],
    collect() {
      over.set(recordDays.check?.status === 'over' ? 1 : 0)
    },
  })
}

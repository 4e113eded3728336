import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { FaultCode } from '../core/faults.ts'
import { processNumber, registerProcessMetrics } from '../core/process-metrics.ts'
import { type PersisterStateName, persisterStates } from '../core/redis/persister-state.ts'
import { type CopiedChunk, copiedTables } from './copied-chunk.ts'

const copySecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/**
 * Transactions are of up to drainEntriesMax entries. The bounds stay all the same: what a persister of an earlier version has
 * counted is added up with this one's, and has no count for a bound that is new.
 */
const drainEntriesBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 400, 1_000]

/** The numbers of the persister process, in a registry of its own: the primary collects them (core/ipc.ts). */
export class PersisterMetrics {
  readonly process = { process: 'persister', number: processNumber() } as const
  readonly registry = new Registry()
  readonly rows: Counter<'table' | 'shard'>
  readonly copySeconds: Histogram<'shard'>
  readonly drainEntries: Histogram<'shard'>
  readonly state: Gauge<'state' | 'shard'>
  readonly backlogEntries: Gauge<'shard'>
  readonly lagSeconds: Gauge<'shard'>
  readonly faults: Counter<'code' | 'shard'>

  constructor() {
    const registers = [this.registry]
    this.rows = new Counter({
      name: 'hotcakes_persisted_rows_total',
      help: 'Rows committed to Postgres, by table.',
      labelNames: ['table', 'shard'],
      registers,
    })
    this.copySeconds = new Histogram({
      name: 'hotcakes_copy_duration_seconds',
      help: 'Time of one transaction of the persister, from BEGIN to the answer to COMMIT.',
      labelNames: ['shard'],
      buckets: copySecondsBuckets,
      registers,
    })
    this.drainEntries = new Histogram({
      name: 'hotcakes_drain_entries',
      help: 'Log entries copied in one transaction.',
      labelNames: ['shard'],
      buckets: drainEntriesBuckets,
      registers,
    })
    this.state = new Gauge({
      name: 'hotcakes_persister_state',
      help: '1 for the state that the persister of a shard is in, 0 for the others.',
      labelNames: ['state', 'shard'],
      registers,
    })
    this.backlogEntries = new Gauge({
      name: 'hotcakes_log_backlog_entries',
      help: 'Log entries in Redis that are not known to be in Postgres.',
      labelNames: ['shard'],
      registers,
    })
    this.lagSeconds = new Gauge({
      name: 'hotcakes_log_lag_seconds',
      help: 'Age of the oldest log entry that is not known to be in Postgres; 0 when there is none.',
      labelNames: ['shard'],
      registers,
    })
    this.faults = new Counter({
      name: 'hotcakes_persister_faults_total',
      help: 'Failures of the persister to go on, by the code of the fault.',
      labelNames: ['code', 'shard'],
      registers,
    })
    registerProcessMetrics(this.registry, this.process)
  }

  ofShard(shard: number): ShardMetrics {
    return new ShardMetrics(this, String(shard))
  }
}

/** Those of one shard. */
export class ShardMetrics {
  readonly #all: PersisterMetrics
  readonly #shard: string

  constructor(all: PersisterMetrics, shard: string) {
    this.#all = all
    this.#shard = shard
    // A series that appears with its first event has no rate for that event.
    for (const table of copiedTables) all.rows.inc({ table, shard }, 0)
    all.copySeconds.zero({ shard })
    all.drainEntries.zero({ shard })
  }

  copied(chunk: CopiedChunk): void {
    const shard = this.#shard
    for (const table of copiedTables) this.#all.rows.inc({ table, shard }, chunk.rows[table])
    this.#all.copySeconds.observe({ shard }, chunk.seconds)
    this.#all.drainEntries.observe({ shard }, chunk.entries)
  }

  state(current: PersisterStateName): void {
    for (const state of persisterStates) this.#all.state.set({ state, shard: this.#shard }, state === current ? 1 : 0)
  }

  backlog(backlogEntries: number, lagSeconds: number): void {
    const shard = this.#shard
    this.#all.backlogEntries.set({ shard }, backlogEntries)
    this.#all.lagSeconds.set({ shard }, lagSeconds)
  }

  fault(code: FaultCode): void {
    this.#all.faults.inc({ code, shard: this.#shard })
  }
}

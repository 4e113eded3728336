import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { FaultCode } from '../core/faults.ts'
import { registerProcessMetrics } from '../core/process-metrics.ts'
import { type PersisterStateName, persisterStates } from '../core/redis/persister-state.ts'
import { type CopiedChunk, copiedTables } from './copied-chunk.ts'

const copySecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const drainEntriesBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 400]

/** The numbers of the persister process, in a registry of its own: the primary collects them (core/ipc.ts). */
export class PersisterMetrics {
  readonly registry = new Registry()
  readonly #rows: Counter<'table'>
  readonly #copySeconds: Histogram
  readonly #drainEntries: Histogram
  readonly #state: Gauge<'state'>
  readonly #backlogEntries: Gauge
  readonly #lagSeconds: Gauge
  readonly #faults: Counter<'code'>

  constructor() {
    const registers = [this.registry]
    this.#rows = new Counter({
      name: 'hotcakes_persisted_rows_total',
      help: 'Rows committed to Postgres, by table.',
      labelNames: ['table'],
      registers,
    })
    this.#copySeconds = new Histogram({
      name: 'hotcakes_copy_duration_seconds',
      help: 'Time of one transaction of the persister, from BEGIN to the answer to COMMIT.',
      buckets: copySecondsBuckets,
      registers,
    })
    this.#drainEntries = new Histogram({
      name: 'hotcakes_drain_entries',
      help: 'Log entries copied in one transaction.',
      buckets: drainEntriesBuckets,
      registers,
    })
    this.#state = new Gauge({
      name: 'hotcakes_persister_state',
      help: '1 for the state that the persister is in, 0 for the others.',
      labelNames: ['state'],
      registers,
    })
    this.#backlogEntries = new Gauge({
      name: 'hotcakes_log_backlog_entries',
      help: 'Log entries in Redis that are not known to be in Postgres.',
      registers,
    })
    this.#lagSeconds = new Gauge({
      name: 'hotcakes_log_lag_seconds',
      help: 'Age of the oldest log entry that is not known to be in Postgres; 0 when there is none.',
      registers,
    })
    this.#faults = new Counter({
      name: 'hotcakes_persister_faults_total',
      help: 'Failures of the persister to go on, by the code of the fault.',
      labelNames: ['code'],
      registers,
    })
    // A series that appears with its first event has no rate for that event.
    for (const table of copiedTables) this.#rows.inc({ table }, 0)
    registerProcessMetrics(this.registry, 'persister')
  }

  copied(chunk: CopiedChunk): void {
    for (const table of copiedTables) this.#rows.inc({ table }, chunk.rows[table])
    this.#copySeconds.observe(chunk.seconds)
    this.#drainEntries.observe(chunk.entries)
  }

  state(current: PersisterStateName): void {
    for (const state of persisterStates) this.#state.set({ state }, state === current ? 1 : 0)
  }

  backlog(backlogEntries: number, lagSeconds: number): void {
    this.#backlogEntries.set(backlogEntries)
    this.#lagSeconds.set(lagSeconds)
  }

  fault(code: FaultCode): void {
    this.#faults.inc({ code })
  }
}

import { Gauge, type Registry } from 'prom-client'

import type { Config } from '../../../core/config/load.ts'
import type { FaultCode } from '../../../core/faults.ts'
import { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import type { Route } from '../http/http-server.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import {
  picturesDrawnAtOnceMax,
  postgresReadsInFlightMax,
  readDeadlineMs,
  readRequestsWaitingMax,
  redisReadsInFlightMax,
  saleCountsDeadlineMs,
} from '../limits.ts'
import type { RedisClock } from '../selling/redis-clock.ts'
import type { LoggingShard } from './freshness.ts'
import { ItemRoutes } from './item-routes.ts'
import { ReadGate } from './read-gate.ts'
import { RecordReader } from './record-reader.ts'
import { RecordRoutes } from './record-routes.ts'
import { RecordWait, type RecordWaitOptions } from './record-wait.ts'
import { SaleCurves } from './sale-curves.ts'
import { SaleSummaries } from './sale-summaries.ts'
import type { ShardedSales } from './sharded-sales.ts'

export interface ReadingOptions {
  readonly sales: ShardedSales
  readonly shards: readonly (LoggingShard & RecordWaitOptions['shards'][number])[]
  readonly clock: Pick<RedisClock, 'now'>
  /** Why nothing is read in Redis at the moment. */
  readonly refusal: () => ShedReason | undefined
  readonly currentSale: () => number | undefined
  readonly onFault: (code: FaultCode) => void
  readonly isSellingBusy: () => boolean
  readonly registry: Registry
}

/** Everything that is read and not sold: items and records, each behind a gate that bounds what it takes from selling. */
export class Reading {
  readonly routes: readonly Route[]
  readonly #postgres: AsyncPostgres
  readonly #slow: AsyncPostgres
  readonly #wait: RecordWait

  constructor(
    { app: { ack }, db, redis: { ttlHours } }: Config,
    { sales, shards, clock, refusal, currentSale, registry, ...gateOptions }: ReadingOptions,
  ) {
    const name = `hotcakes http ${process.pid}`
    this.#postgres = new AsyncPostgres(db, { applicationName: name, connectionsMax: postgresReadsInFlightMax })
    this.#slow = new AsyncPostgres(db, { applicationName: name, connectionsMax: 1, deadlineMs: saleCountsDeadlineMs })
    const gate = (inFlightMax: number) =>
      new ReadGate({ ...gateOptions, inFlightMax, waitingMax: readRequestsWaitingMax, deadlineMs: readDeadlineMs })
    const gates = {
      redis: gate(redisReadsInFlightMax),
      postgres: gate(postgresReadsInFlightMax),
      pictures: gate(picturesDrawnAtOnceMax),
    }
    const record = new RecordReader({ postgres: this.#postgres, slow: this.#slow })
    const wait = new RecordWait({ shards, record, onFault: gateOptions.onFault })
    this.#wait = wait
    registerGauge(registry, { ...gates, record: wait })
    const summaries = new SaleSummaries({ sales, record, ttlMs: ttlHours * 3_600_000 })
    const items = new ItemRoutes({ sales, gate: gates.redis, pictureGate: gates.pictures, currentSale, refusal })
    const forRecords = { record, summaries, gate: gates.postgres, wait, ack, clock }
    const records = new RecordRoutes({ sales, shards, currentSale, ...forRecords })
    const curves = new SaleCurves({ sales, shards, record, gate: gates.postgres, clock })
    this.routes = [...items.routes, ...records.routes, ...curves.routes]
  }

  /** Nobody waits for the record any longer: this worker is going. */
  endWaits(): void {
    this.#wait.endWaits()
  }

  async close(): Promise<void> {
    await Promise.all([this.#postgres.close(), this.#slow.close()])
  }
}

function registerGauge(registry: Registry, gates: Readonly<Record<string, Pick<ReadGate, 'requests'>>>): void {
  registry.registerMetric(
    new Gauge({
      name: 'hotcakes_reads_waiting',
      help: 'Requests for items, pictures and records that wait for their read, those under way included, or (source record) for the record to have something.',
      labelNames: ['source'] as const,
      registers: [],
      collect() {
        for (const [source, { requests }] of Object.entries(gates)) this.set({ source }, requests)
      },
    }),
  )
}

import { Gauge, type Registry } from 'prom-client'
import type { SaleItems } from './reading/sale-view.ts'

/** The numbers that are read and not counted. `undefined`: nothing is known at the moment. */
export interface WorkerGauges {
  /** With several, their numbers are told apart. */
  readonly shards: readonly GaugedShard[]
  /** Checkouts that wait for a right; told where there are several shards. */
  readonly rightsSeekers: () => number
  readonly connections: () => number
  /** Requests that were turned away and wait for their answer. */
  readonly refusalsWaiting: () => number
  readonly saleItems: () => SaleItems | undefined
}

interface GaugedShard {
  readonly number: number
  readonly batcher: { readonly waiting: number }
  /** Its Redis is there, and has answered the last question. */
  readonly isAnswering: boolean
  /** Answers that wait for Postgres. */
  readonly uncommitted: { readonly count: number } | undefined
  /** Those that answers wait for. */
  readonly replicas: { readonly awaited: number | undefined } | undefined
}

export function registerWorkerGauges(registry: Registry, gauges: WorkerGauges): void {
  registerShardGauge(registry, gauges.shards, {
    name: 'hotcakes_commands_waiting',
    help: 'Checkouts and purchases accepted and not decided yet, or not confirmed by the replicas (APP_ACK=replica).',
    valueOf: ({ batcher }) => batcher.waiting,
  })
  registerShardGauge(registry, gauges.shards, {
    name: 'hotcakes_answers_uncommitted',
    help: 'Purchases decided whose answers wait for Postgres (APP_ACK=postgres).',
    valueOf: ({ uncommitted }) => uncommitted?.count ?? 0,
  })
  registerShardGauge(registry, gauges.shards, {
    name: 'hotcakes_redis_away',
    help: 'HTTP workers that get no answer from Redis (of a shard, where there are several).',
    valueOf: ({ isAnswering }) => (isAnswering ? 0 : 1),
  })
  if (gauges.shards.some(({ replicas }) => replicas !== undefined)) {
    registerShardGauge(registry, gauges.shards, {
      name: 'hotcakes_replicas_awaited',
      help: 'Replicas that answers wait for (APP_ACK=replica); 0: there are none, or it is not known which there are.',
      aggregator: 'min',
      valueOf: ({ replicas }) => replicas?.awaited ?? 0,
    })
  }
  if (gauges.shards.length > 1) {
    registerGauge(registry, {
      name: 'hotcakes_rights_waiting',
      help: 'Checkouts that wait until shards have said what rights their buyers have.',
      value: gauges.rightsSeekers,
    })
  }
  registerGauge(registry, {
    name: 'hotcakes_http_connections',
    help: 'Open client connections.',
    value: gauges.connections,
  })
  registerGauge(registry, {
    name: 'hotcakes_refusals_waiting',
    help: 'Requests that were turned away and whose 503 is held back.',
    value: gauges.refusalsWaiting,
  })
  registerSaleItems(registry, gauges)
}

function registerSaleItems(registry: Registry, gauges: Pick<WorkerGauges, 'saleItems'>): void {
  registry.registerMetric(
    new Gauge({
      name: 'hotcakes_sale_size_items',
      help: 'Items that the current sale began with: the sum of hotcakes_sale_items.',
      aggregator: 'first',
      registers: [],
      collect() {
        this.reset()
        const items = gauges.saleItems()
        if (items !== undefined) this.set(items.total)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hotcakes_sale_items',
      help: 'Items of the current sale by state; held may lag by a second.',
      labelNames: ['state'] as const,
      // Every worker reads the same sale. The first one's numbers are of one moment; a maximum would mix moments.
      aggregator: 'first',
      registers: [],
      collect() {
        this.reset()
        const items = gauges.saleItems()
        if (items === undefined) return
        for (const state of ['available', 'held', 'sold'] as const) this.set({ state }, items[state])
      },
    }),
  )
}

interface ShardGauge {
  readonly name: string
  readonly help: string
  readonly valueOf: (shard: GaugedShard) => number
  /** Of the workers' numbers. */
  readonly aggregator?: 'sum' | 'min'
}

function registerGauge(
  registry: Registry,
  { name, help, value }: { name: string; help: string; value: () => number },
): void {
  registry.registerMetric(
    new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(value())
      },
    }),
  )
}

function registerShardGauge(
  registry: Registry,
  shards: readonly GaugedShard[],
  { name, help, valueOf, aggregator = 'sum' }: ShardGauge,
): void {
  registry.registerMetric(
    new Gauge({
      name,
      help,
      aggregator,
      labelNames: ['shard'] as const,
      registers: [],
      collect() {
        for (const shard of shards) {
          if (shards.length === 1) this.set(valueOf(shard))
          else this.set({ shard: String(shard.number) }, valueOf(shard))
        }
      },
    }),
  )
}

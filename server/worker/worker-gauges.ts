import { Gauge, type Registry } from 'prom-client'
import type { SaleItems } from './reading/sale-view.ts'

/** The numbers that are read and not counted. `undefined`: nothing is known at the moment. */
export interface WorkerGauges {
  readonly commandsWaiting: () => number
  readonly answersUncommitted: () => number
  readonly connections: () => number
  readonly saleItems: () => SaleItems | undefined
}

export function registerWorkerGauges(registry: Registry, gauges: WorkerGauges): void {
  registry.registerMetric(
    new Gauge({
      name: 'hotcakes_commands_waiting',
      help: 'Checkouts and purchases accepted and not decided yet.',
      registers: [],
      collect() {
        this.set(gauges.commandsWaiting())
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hotcakes_answers_uncommitted',
      help: 'Purchases decided whose answers wait for Postgres (APP_ACK=postgres).',
      registers: [],
      collect() {
        this.set(gauges.answersUncommitted())
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hotcakes_http_connections',
      help: 'Open client connections.',
      registers: [],
      collect() {
        this.set(gauges.connections())
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: 'hotcakes_sale_items',
      help: 'Items of the current sale by state; held may lag by a second.',
      labelNames: ['state'] as const,
      // Every worker reads the same sale. The first one's four numbers are of one moment; a maximum would mix moments.
      aggregator: 'first',
      registers: [],
      collect() {
        this.reset()
        const items = gauges.saleItems()
        if (items === undefined) return
        for (const [state, count] of Object.entries(items)) this.set({ state }, count)
      },
    }),
  )
}

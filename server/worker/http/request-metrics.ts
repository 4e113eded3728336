import { Counter, Gauge, type Registry } from 'prom-client'
import { type FaultCode, faultTitles } from '../../../core/faults.ts'
import { type Outcome, outcomeNames, outcomes } from '../../../core/outcomes.ts'
import { FlatHistogram } from './flat-histogram.ts'

/** Every status that a route can answer; `499` is nothing that anybody was sent: the client left before its answer. */
const statuses = [200, 204, 304, 400, 404, 405, 409, 410, 429, 499, 503] as const
export const statusAborted = 499

const shedReasons = [
  'overloaded',
  'late',
  'backlog_full',
  'memory_full',
  'redis_down',
  'record_unsound',
  'shutting_down',
] as const
export type ShedReason = (typeof shedReasons)[number]

const durationBoundsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const batchBoundsCommands = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
const redisBoundsSeconds = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 3]

/** Status -> its place in `statuses`. */
const statusPlaces = Uint8Array.from({ length: 600 }, (_, status) => Math.max(0, statuses.indexOf(status as 200)))
/** Outcome -> its place in `outcomeNames`. */
const outcomePlaces = new Map(outcomeNames.map((name, place) => [name, place]))

/**
 * What the worker counts about requests. The counts are flat arrays, because a labelled counter costs a microsecond for
 * each request; prom-client sees them only when somebody asks.
 */
export class RequestMetrics {
  readonly #requests: Float64Array
  readonly #outcomes = new Float64Array(outcomeNames.length)
  readonly #shed = new Map<ShedReason, number>()
  readonly #faults = new Map<FaultCode, number>()
  readonly #durations: FlatHistogram
  readonly #batchCommands: FlatHistogram
  readonly #redisSeconds: FlatHistogram

  /** `routes`: label values; the other methods take the place of a route in this list. */
  constructor(registry: Registry, routes: readonly string[]) {
    this.#requests = new Float64Array(routes.length * statuses.length)
    this.#durations = new FlatHistogram({
      name: 'hotcakes_http_request_duration_seconds',
      help: 'Time from the arrival of a request to its answer.',
      registry,
      bounds: durationBoundsSeconds,
      series: routes.map((route) => ({ route })),
    })
    this.#batchCommands = new FlatHistogram({
      name: 'hotcakes_batch_commands',
      help: 'Commands in one call of Redis.',
      registry,
      bounds: batchBoundsCommands,
      series: [{}],
    })
    this.#redisSeconds = new FlatHistogram({
      name: 'hotcakes_redis_batch_duration_seconds',
      help: 'Time from sending a batch to Redis to its answer.',
      registry,
      bounds: redisBoundsSeconds,
      series: [{}],
    })
    this.#publishRequests(registry, routes)
    this.#publishOutcomes(registry)
    this.#publishTroubles(registry)
  }

  answered(route: number, status: number, seconds: number): void {
    const at = route * statuses.length + (statusPlaces[status] as number)
    this.#requests[at] = (this.#requests[at] as number) + 1
    this.#durations.observeAt(route, seconds)
  }

  decided(outcome: Outcome): void {
    const at = outcomePlaces.get(outcome) as number
    this.#outcomes[at] = (this.#outcomes[at] as number) + 1
  }

  batch(commandCount: number, seconds: number): void {
    this.#batchCommands.observeAt(0, commandCount)
    this.#redisSeconds.observeAt(0, seconds)
  }

  shed(reason: ShedReason): void {
    this.#shed.set(reason, (this.#shed.get(reason) ?? 0) + 1)
  }

  /** Once a failed call of Redis, however many requests waited for it. */
  fault(code: FaultCode): void {
    this.#faults.set(code, (this.#faults.get(code) ?? 0) + 1)
  }

  #publishRequests(registry: Registry, routes: readonly string[]): void {
    const requests = this.#requests
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_http_requests_total',
        help: 'Requests by route and status; 499: the client left before it was answered.',
        labelNames: ['route', 'status'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const [routePlace, route] of routes.entries()) {
            for (const [statusPlace, status] of statuses.entries()) {
              const count = requests[routePlace * statuses.length + statusPlace] as number
              if (count > 0) this.inc({ route, status }, count)
            }
          }
        },
      }),
    )
  }

  #publishOutcomes(registry: Registry): void {
    const counts = this.#outcomes
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_outcomes_total',
        help: 'Decisions of Redis that this server asked for.',
        labelNames: ['operation', 'outcome'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const [place, outcome] of outcomeNames.entries()) {
            this.inc({ operation: outcomes[outcome].operation, outcome }, counts[place] as number)
          }
        },
      }),
    )
  }

  #publishTroubles(registry: Registry): void {
    const shed = this.#shed
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_requests_shed_total',
        help: 'Requests answered 503 at once, by reason.',
        labelNames: ['reason'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const reason of shedReasons) this.inc({ reason }, shed.get(reason) ?? 0)
        },
      }),
    )
    const faults = this.#faults
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_faults_total',
        help: 'Faults of the world around this server, by code.',
        labelNames: ['code'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const code of Object.keys(faultTitles) as FaultCode[]) {
            const count = faults.get(code)
            if (count !== undefined) this.inc({ code }, count)
          }
        },
      }),
    )
  }
}

/** The numbers that are read and not counted. `undefined`: nothing is known at the moment. */
export interface WorkerGauges {
  readonly commandsWaiting: () => number
  readonly answersUncommitted: () => number
  readonly connections: () => number
  readonly saleItems: () => { total: number; held: number; sold: number; available: number } | undefined
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

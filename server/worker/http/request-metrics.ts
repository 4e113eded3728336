import { Counter, type Registry } from 'prom-client'
import { CountsByShard } from './counts-by-shard.ts'
import { FlatHistogram } from './flat-histogram.ts'

/** Every status that a route can answer; `499` is nothing that anybody was sent: the client left before its answer. */
const statuses = [200, 204, 304, 400, 401, 403, 404, 405, 409, 410, 429, 499, 503] as const
/** What has no place in the metrics can't be answered: it doesn't compile. */
export type Status = (typeof statuses)[number]
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
/** Of the server and of no shard. */
const unshardedReason: ShedReason = 'shutting_down'

/** Routes that thousands may ask for between two scrapes of a server that has just started: what comes with a series has no rate. */
const ofCrowds: ReadonlySet<string> = new Set(['/checkout', '/purchase', '/release'])

const durationBoundsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Status -> its place in `statuses`. */
const statusPlaces = Int8Array.from({ length: 600 }, (_, status) => statuses.indexOf(status as Status))

/**
 * What the worker counts about requests and their answers. The counts are flat arrays, because a labelled counter costs a microsecond for
 * each request; prom-client sees them only when somebody asks.
 */
export class RequestMetrics {
  readonly #requests: Float64Array
  readonly #shed: CountsByShard<ShedReason>
  readonly #durations: FlatHistogram

  /** `routes`: label values; the other methods take the place of a route in this list. */
  constructor(registry: Registry, routes: readonly string[], shardCount = 1) {
    this.#shed = new CountsByShard(shedReasons, shardCount)
    this.#requests = new Float64Array(routes.length * statuses.length)
    this.#durations = new FlatHistogram({
      name: 'hotcakes_http_request_duration_seconds',
      help: 'Time from the arrival of a request to its answer, also of those that are turned away.',
      registry,
      bounds: durationBoundsSeconds,
      series: routes.map((route) => ({ route })),
      isThereFromStart: ({ route }) => ofCrowds.has(route as string),
    })
    this.#publishRequests(registry, routes)
    this.#publishShed(registry)
  }

  answered(route: number, status: Status, seconds: number): void {
    const at = route * statuses.length + (statusPlaces[status] as number)
    this.#requests[at] = (this.#requests[at] as number) + 1
    this.#durations.observeAt(route, seconds)
  }

  /** @param shard whose reason it is; undefined: it is that of all, or of none */
  shed(reason: ShedReason, shard?: number): void {
    this.#shed.add(reason, shard)
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
              if (count > 0 || (status === 200 && ofCrowds.has(route))) this.inc({ route, status }, count)
            }
          }
        },
      }),
    )
  }

  #publishShed(registry: Registry): void {
    const shed = this.#shed
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_requests_shed_total',
        help: 'Requests that were turned away with 503, by reason, and by shard where one of several was the reason.',
        labelNames: ['reason', 'shard'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const { key: reason, shard, count } of shed.series()) {
            // A series that appears with its first event has no rate for that event.
            if (shard.shard === undefined || reason !== unshardedReason) this.inc({ reason, ...shard }, count)
          }
        },
      }),
    )
  }
}

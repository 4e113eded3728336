import { Counter, Histogram, Registry } from 'prom-client'
import { type Outcome, outcomes } from '../../core/outcomes.ts'
import { RequestMetrics, type Status } from '../../server/worker/http/request-metrics.ts'
import { SellingMetrics } from '../../server/worker/selling/selling-metrics.ts'
import { sampleCommands, sampleDecisions } from './sample-sale.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

const routes = ['/checkout', '/purchase'] as const
const boundsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const families = /^hotcakes_(?:http_requests_total|http_request_duration_seconds_\w+|outcomes_total)\{/

interface Answered {
  readonly route: 0 | 1
  readonly status: Status
  readonly outcome: Outcome
  readonly seconds: number
}

/** Every request of the sample, counted. */
interface Counting {
  readonly registry: Registry
  readonly count: (request: Answered) => void
}

function flatArrays(): Counting {
  const registry = new Registry()
  const metrics = new RequestMetrics(registry, routes)
  const selling = new SellingMetrics(registry)
  const count = ({ route, status, outcome, seconds }: Answered) => {
    metrics.answered(route, status, seconds)
    selling.decided(outcome)
  }
  return { registry, count }
}

function clientFamilies(registry: Registry) {
  const registers = [registry]
  const help = 'The same as the server has.'
  return {
    requests: new Counter({ name: 'hotcakes_http_requests_total', help, labelNames: ['route', 'status'], registers }),
    durations: new Histogram({
      name: 'hotcakes_http_request_duration_seconds',
      help,
      labelNames: ['route'],
      buckets: boundsSeconds,
      registers,
    }),
    decisions: new Counter({
      name: 'hotcakes_outcomes_total',
      help,
      labelNames: ['operation', 'outcome'],
      registers,
    }),
  }
}

function labelled(): Counting {
  const registry = new Registry()
  const { requests, durations, decisions } = clientFamilies(registry)
  const count = ({ route, status, outcome, seconds }: Answered) => {
    const name = routes[route]
    requests.inc({ route: name, status })
    durations.observe({ route: name }, seconds)
    decisions.inc({ operation: outcomes[outcome].operation, outcome })
  }
  return { registry, count }
}

/** prom-client's own way to spare the labels' check: children that are bound to their labels once. */
function boundLabels(): Counting {
  const registry = new Registry()
  const { requests, durations, decisions } = clientFamilies(registry)
  const requestChildren = routes.map(() => new Map<number, Counter.Internal>())
  const durationChildren = routes.map((route) => durations.labels(route))
  const decisionChildren = new Map<Outcome, Counter.Internal>()
  const count = ({ route, status, outcome, seconds }: Answered) => {
    let request = requestChildren[route]?.get(status)
    if (request === undefined) {
      request = requests.labels(routes[route], String(status))
      requestChildren[route]?.set(status, request)
    }
    request.inc()
    durationChildren[route]?.observe(seconds)
    let decision = decisionChildren.get(outcome)
    if (decision === undefined) {
      decision = decisions.labels(outcomes[outcome].operation, outcome)
      decisionChildren.set(outcome, decision)
    }
    decision.inc()
  }
  return { registry, count }
}

const statusByOutcome: Readonly<Partial<Record<Outcome, Status>>> = {
  item_held: 409,
  item_sold: 409,
  code_expired: 410,
}

function answeredRequests(count: number): Answered[] {
  const commands = sampleCommands(count, { purchaseShare: 0.4 })
  return sampleDecisions(commands).map(({ outcome }, n) => {
    const route = outcomes[outcome].operation === 'checkout' ? 0 : 1
    // From 0.6 to some 6 ms, as under load.
    return { route, status: statusByOutcome[outcome] ?? 200, outcome, seconds: 0.000_6 * (1 + (n % 10)) }
  })
}

/**
 * What a scrape would show, the labels in one order. Without what was never counted: ours has those, prom-client does
 * not.
 */
async function shown({ registry }: Counting): Promise<string[]> {
  const lines = (await registry.metrics()).split('\n')
  const counted = lines.filter((line) => families.test(line) && !line.endsWith(' 0'))
  return counted
    .map((line) => line.replace(/\{(.*)\}/, (_, labels: string) => labels.split(',').toSorted().join()))
    .toSorted()
}

function toCandidate(name: string, create: () => Counting, requests: readonly Answered[]): Candidate {
  const { count } = create()
  const run = () => {
    for (const request of requests) count(request)
  }
  const result = () => {
    const counting = create()
    for (const request of requests) counting.count(request)
    return shown(counting)
  }
  return { name, run, operations: requests.length, result }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const requests = answeredRequests(smoke ? 64 : 1_024)
  const ways = {
    'flat arrays': flatArrays,
    'prom-client labels': labelled,
    'prom-client, bound labels': boundLabels,
  }
  const candidates = Object.entries(ways).map(([name, create]) => toCandidate(name, create, requests))
  yield { name: 'a decided request', operation: 'request', candidates }
}

export const metricsOverhead: Subject = {
  name: 'metrics-overhead',
  about: "counting a request, its duration and its outcome: our flat arrays, prom-client's labels",
  cases,
}

// The storm at the start of a sale, for k6 0.57 or later, which runs TypeScript as it is. It holds the shop to its promises:
//   k6 run -e HOTCAKES_SHOP=http://localhost:8080 -e RATE=500 -e SECONDS=30 examples/storm.ts
// Further: -e READERS=20, -e HOTCAKES_TOKEN=... (of a backend, where the shop asks for tokens), -e SUMMARY=summary.json

import { check, sleep } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'
import { Counter } from 'k6/metrics'
import type { Options } from 'k6/options'

const { HOTCAKES_SHOP: shop = 'http://localhost:8080', HOTCAKES_TOKEN: token, SUMMARY: summaryFile } = __ENV
const [rate, seconds, readers] = [__ENV['RATE'], __ENV['SECONDS'], __ENV['READERS']].map(Number)
const duration = seconds || 30

export const options: Options = {
  scenarios: {
    // So many buyers a second, however slowly they are answered: a crowd doesn't wait for the one before.
    storm: {
      executor: 'constant-arrival-rate',
      exec: 'buy',
      rate: rate || 200,
      timeUnit: '1s',
      duration: `${duration}s`,
      preAllocatedVUs: 100,
      maxVUs: 2_000,
    },
    // And those that look at the sale meanwhile, more and more of them.
    readers: {
      executor: 'ramping-vus',
      exec: 'look',
      stages: [
        { duration: `${Math.ceil(duration / 2)}s`, target: readers || 10 },
        { duration: `${Math.floor(duration / 2)}s`, target: 0 },
      ],
    },
  },
  thresholds: {
    // The promises. One server error may be an overload that was answered as it should be: 503, and nothing was decided.
    hotcakes_server_errors: ['count==0'],
    hotcakes_limit_breaches: ['count==0'],
    checks: ['rate==1'],
    // k6 itself has kept the rate; otherwise this was no storm of that size.
    dropped_iterations: ['count==0'],
    // Always true: what has a threshold is shown by name.
    'http_req_duration{name:checkout}': ['max>=0'],
    'http_req_duration{name:purchase}': ['max>=0'],
  },
  summaryTrendStats: ['med', 'p(99)', 'p(99.9)', 'max'],
}

const purchases = new Counter('hotcakes_purchases')
const refusals = new Counter('hotcakes_refusals')
const serverErrors = new Counter('hotcakes_server_errors')
const limitBreaches = new Counter('hotcakes_limit_breaches')
// A refusal is an answer: http_req_failed shows what is none.
http.setResponseCallback(http.expectedStatuses(200, 404, 409, 410))

interface Sale {
  readonly id: number
  readonly items: number
  readonly user_limit: number
}

/** The sale, and what the names of this run's buyers begin with. */
export function setup(): { sale: Sale; run: string } {
  const { body, status } = http.get(`${shop}/sale`)
  if (status !== 200) throw new Error(`GET /sale: ${status}`)
  return { sale: JSON.parse(body as string) as Sale, run: `k6-${Date.now().toString(36)}` }
}

// Each VU has its own.
const buyer = { number: 0, attempts: 0, purchases: 0 }

/** One attempt of a buyer who wants two items more than one may have: any item of the sale, and then to purchase it. */
export function buy({ sale, run }: ReturnType<typeof setup>): void {
  if (buyer.attempts >= sale.user_limit + 2)
    Object.assign(buyer, { number: buyer.number + 1, attempts: 0, purchases: 0 })
  buyer.attempts += 1
  const user = `${run}-${exec.vu.idInTest}-${buyer.number}`
  const item = `${sale.id}-${1 + Math.floor(Math.random() * sale.items)}`
  const held = post('checkout', `user_id=${user}&id=${item}`)
  if (held.status !== 200) return
  const code = held.json('code') as string
  const bought = post('purchase', `code=${code}`)
  if (bought.status !== 200) return
  purchases.add(1)
  buyer.purchases += 1
  if (buyer.purchases > sale.user_limit) limitBreaches.add(1)
  // One in ten has lost the answer, and asks again.
  if (Math.random() < 0.1)
    check(post('purchase', `code=${code}`), { 'a repeat gets the same answer': ({ body }) => body === bought.body })
}

export function look(): void {
  const page = http.get(`${shop}/items?state=available&limit=50`, { tags: { name: 'items' } })
  if (page.status >= 500) serverErrors.add(1)
  sleep(1)
}

function post(operation: 'checkout' | 'purchase', query: string) {
  // The name stands for all addresses of the operation: without it each item and code would be a time series.
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  const answer = http.post(`${shop}/${operation}?${query}`, null, { tags: { name: operation }, headers })
  // A status of 0 is no answer at all.
  if (answer.status >= 500 || answer.status === 0) serverErrors.add(1)
  else if (answer.status !== 200) refusals.add(1)
  check(answer, { 'the answer is one of the API': ({ status }) => [200, 409, 410, 429, 503].includes(status) })
  return answer
}

interface Summary {
  readonly metrics: Readonly<Record<string, { readonly values: Readonly<Record<string, number>> }>>
}

export function handleSummary(data: Summary): Record<string, string> {
  const count = (name: string) => data.metrics[name]?.values['count'] ?? 0
  const latency = (name: string) => data.metrics[`http_req_duration{name:${name}}`]?.values['p(99)']?.toFixed(1) ?? '-'
  const text = `purchases ${count('hotcakes_purchases')}, refusals ${count('hotcakes_refusals')}
server errors ${count('hotcakes_server_errors')}, buyers above the limit ${count('hotcakes_limit_breaches')}
p99 of a checkout ${latency('checkout')} ms, of a purchase ${latency('purchase')} ms
attempts that k6 could not send in time ${count('dropped_iterations')}
`
  return { stdout: text, ...(summaryFile === undefined ? {} : { [summaryFile]: JSON.stringify(data) }) }
}

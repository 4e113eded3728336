// Buys one item of the current sale. Needs nothing but Node.js: copy it together with hotcakes-api.d.ts, its types.
//   node dist/examples/buyer.js --user me            (Node.js 22.18 and later run examples/buyer.ts itself)

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { components, operations } from './hotcakes-api.d.ts'

const usage = `usage: buyer --user ID | --token TOKEN [options]

Buys one item of the current sale and prints the purchase. Ctrl+C gives a held item back.

  --shop URL          where the shop is (HOTCAKES_SHOP, or http://localhost:8080)
  --user ID           whoever buys; a token names its buyer
  --token TOKEN       where the shop asks for one; better in HOTCAKES_TOKEN, because others see arguments
  --item ID           this item; otherwise any that is available
  --think SECONDS     between checkout and purchase, as paying takes (0)
  --deadline SECONDS  for all of it (60)

exit status: 0 purchased, 1 an error or no answer, 2 usage, 3 not to be had, 130 interrupted
`
const [requestMsMax, releaseMsMax] = [10_000, 5_000]
const [backoffMsMin, backoffMsMax] = [100, 5_000]

const routes = {
  currentSale: 'GET /sale',
  items: 'GET /items',
  checkout: 'POST /checkout',
  purchase: 'POST /purchase',
  release: 'POST /release',
} as const
type Route = keyof typeof routes
type Query<R extends Route> = operations[R] extends { parameters: { query?: infer Q } } ? Q : object
type Body<R extends Route> = operations[R]['responses'][200]['content']['application/json']
type Problem = components['schemas']['Problem']
type Answer<T> = { body: T; problem?: undefined } | { body?: undefined; problem: Problem }

/** Why there is no purchase, and the exit status for that. */
const ended = (status: number, message: string) => Object.assign(new Error(message), { status })
const statusOf = (error: unknown) => (error as { status?: number }).status ?? 1

const options = readOptions()
let deadlineMs = performance.now() + options.patienceMs
const stop = new AbortController()
setTimeout(() => stop.abort(ended(1, 'the deadline has passed')), options.patienceMs).unref()
// Once: the second Ctrl+C ends at once.
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => stop.abort(ended(130, 'interrupted')))
try {
  process.stdout.write(`${JSON.stringify(await buy())}\n`)
} catch (error) {
  const end = stop.signal.aborted ? stop.signal.reason : error
  say(wordsOf(end))
  process.exitCode = statusOf(end)
}

function readOptions() {
  const { HOTCAKES_SHOP: shop = 'http://localhost:8080', HOTCAKES_TOKEN: token = '' } = process.env
  const known = { shop, user: '', token, item: '', think: '0', deadline: '60' }
  const text = Object.entries(known).map(([name, value]) => [name, { type: 'string', default: value }] as const)
  try {
    const parsed = parseArgs({ options: { ...Object.fromEntries(text), help: { type: 'boolean' } } }).values
    if (parsed['help'] === true) {
      process.stdout.write(usage)
      process.exit(0)
    }
    const values = parsed as typeof known
    const [thinkMs = 0, patienceMs = 0] = [values.think, values.deadline].map((seconds) => 1_000 * Number(seconds))
    if (!/^https?:\/\/[^/]+\/?$/.test(values.shop)) throw new Error('--shop must be like http://localhost:8080')
    if (values.user + values.token === '') throw new Error('--user or --token is needed')
    const isTime = thinkMs >= 0 && patienceMs > 0 && Math.max(thinkMs, patienceMs) < 2 ** 31 // what a timer takes
    if (!isTime) throw new Error('--think and --deadline must be seconds, of 24 days at most')
    return { ...values, thinkMs, patienceMs }
  } catch (error) {
    process.stderr.write(`buyer: ${wordsOf(error)}\n${usage}`)
    process.exit(2)
  }
}

async function buy(): Promise<Body<'purchase'>> {
  const hold = await holdItem()
  say(`holds ${hold.item_id} until ${hold.expires_at}`)
  try {
    await delay(options.thinkMs, undefined, { signal: stop.signal })
    return bodyOf(await ask('purchase', { code: hold.code }))
  } catch (error) {
    // The shop has said no: there is nothing left to give back.
    const bought = statusOf(error) === 3 ? undefined : await giveBack(hold)
    if (bought === undefined) throw error
    return bought
  }
}

/** The purchase may have been decided all the same, and its answer be lost: the release tells. */
async function giveBack({ code, item_id, expires_at }: Body<'checkout'>): Promise<Body<'purchase'> | undefined> {
  const signal = AbortSignal.timeout(releaseMsMax)
  deadlineMs = performance.now() + releaseMsMax
  const released = await ask('release', { code }, signal).catch(() => undefined)
  if (released?.problem?.code === 'item_purchased') return bodyOf(await ask('purchase', { code }, signal))
  say(released?.body ? `gave ${item_id} back` : `could not give ${item_id} back: its hold ends ${expires_at}`)
  return undefined
}

async function holdItem(): Promise<Body<'checkout'>> {
  const { user, item } = options
  for (;;) {
    for (const id of item === '' ? await availableItems() : [item]) {
      const held = await ask('checkout', { ...(user && { user_id: user }), id })
      // Somebody was quicker, or the sale has just ended: another item will do as well.
      const isGone = ['item_held', 'item_sold', 'sale_closed'].includes(held.problem?.code ?? '')
      if (item !== '' || !isGone) return bodyOf(held)
    }
  }
}

/** Some items of the current sale, from a random place: everybody else wants the first ones. */
async function availableItems(): Promise<string[]> {
  for (;;) {
    const sale = bodyOf(await ask('currentSale', {}))
    for (const after of [Math.floor(Math.random() * sale.items), 0]) {
      const page = bodyOf(await ask('items', { sale: sale.id, state: 'available', after, limit: 20 }))
      if (page.items.length > 0) return page.items.map(({ id }) => id)
    }
    if (sale.sold === sale.items) throw ended(3, `sale ${sale.id} is sold out`)
    say('all that is left is held; looks again in a second or two')
    await delay(1_000 * (1 + Math.random()), undefined, { signal: stop.signal })
  }
}

/** Asks until the answer is final. What was decided once is answered again, so it may ask again whenever it has no answer. */
async function ask<R extends Route>(route: R, query: Query<R>, signal = stop.signal): Promise<Answer<Body<R>>> {
  const [method = '', path = ''] = routes[route].split(' ')
  const url = new URL(path, options.shop)
  for (const [name, value] of Object.entries(query as Record<string, unknown>))
    url.searchParams.set(name, String(value))
  const headers: Record<string, string> = options.token === '' ? {} : { authorization: `Bearer ${options.token}` }
  for (let attempt = 0; ; attempt++) {
    let [reason, pauseMs] = ['', Math.random() * Math.min(backoffMsMax, backoffMsMin * 2 ** attempt)]
    try {
      const either = AbortSignal.any([signal, AbortSignal.timeout(requestMsMax)])
      const reply = await fetch(url, { method, headers, signal: either })
      const body = (await reply.json()) as Body<R> & Problem
      if (reply.ok) return { body }
      // A held item is free again after Retry-After, if its buyer lets it go. Nothing else that was decided passes by itself.
      const mayPass = reply.status === 429 || reply.status >= 500 || (body.code === 'item_held' && options.item !== '')
      pauseMs += 1_000 * (Number(reply.headers.get('retry-after')) || 0)
      reason = `${reply.status} ${body.code}`
      if (!mayPass || performance.now() + pauseMs > deadlineMs) return { problem: body }
    } catch (error) {
      // Also what is no JSON: it came from a proxy that has no answer either.
      if (signal.aborted) throw error
      reason = `no answer (${wordsOf(error)})`
    }
    // Without the query: a code is a secret.
    say(`${routes[route]}: ${reason}; asks again in ${(pauseMs / 1_000).toFixed(1)} s`)
    await delay(pauseMs, undefined, { signal })
  }
}

function bodyOf<T>({ body, problem }: Answer<T>): T {
  if (problem === undefined) return body
  throw ended([404, 409, 410].includes(problem.status) ? 3 : 1, `${problem.status} ${problem.code}: ${problem.detail}`)
}

/** Of fetch the cause says more than the error, which is "fetch failed"; of several addresses only its code says something. */
function wordsOf(error: unknown): string {
  const { message, cause } = error as Error & { cause?: { message: string; code?: string } }
  return cause?.message || cause?.code || message
}

function say(message: string): void {
  process.stderr.write(`buyer: ${message}\n`)
}

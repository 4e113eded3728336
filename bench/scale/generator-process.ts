// A generator of bench:scale, forked by place.ts: the selling code of an HTTP worker with its connections to Redis, and buyers
// that call it without HTTP.

import { loadConfig } from '../../core/config/load.ts'
import { createLog } from '../../core/log.ts'
import { TurnClock } from '../../server/worker/http/turn-clock.ts'
import { Shards } from '../../server/worker/selling/shards.ts'
import { Crowd } from './crowd.ts'
import type { Order, PlaceOrder, RunOrder, Said } from './orders.ts'
import { RunCounts } from './run-counts.ts'

const hourMs = 3_600_000
const ttlSeconds = 3_600
/** Nothing is drained while it is measured, and nothing may be turned away for that. */
const backlogMax = 1_000_000_000
/** Nor for the time that many processes on few cores take. */
const deadlineMs = 60_000

function say(said: Said): void {
  process.send?.(said)
}

class Generator {
  readonly #place: PlaceOrder
  readonly #counts: RunCounts
  readonly #shards: Shards

  constructor(place: PlaceOrder) {
    const { cluster = '', host, port } = place.redis
    const redis = cluster === '' ? { REDIS_HOST: host, REDIS_PORT: String(port) } : { REDIS_CLUSTER: cluster }
    const loaded = loadConfig({ env: { ...redis, DB_HOST: host, DB_PASSWORD: 'not used' } })
    const config = {
      ...loaded,
      app: { ...loaded.app, logBacklogMax: backlogMax, deadlineMs },
      shardCount: place.shards,
    }
    const log = createLog({ level: 'error', process: 'generator' })
    this.#place = place
    this.#counts = new RunCounts(place.shards)
    this.#shards = new Shards({
      count: place.shards,
      config,
      log,
      metrics: this.#counts,
      turnClock: new TurnClock(),
      onUnlisted: () => undefined,
    })
  }

  async open(): Promise<void> {
    await Promise.all(this.#shards.all.map((shard) => shard.openAtLast()))
  }

  async run(order: RunOrder): Promise<void> {
    await this.#openSale(order)
    say({ kind: 'result', result: await new Crowd(this.#shards, this.#counts, { place: this.#place, order }).run() })
  }

  /** As the rotation does it: at the first shard, and then as that one lists it. */
  async #openSale({ sale, items, userLimit, holdSeconds }: RunOrder): Promise<void> {
    const { first, all, directory } = this.#shards
    const { shards } = this.#place
    const opensAtMs = Math.floor(Date.now() / hourMs - 1) * hourMs
    const wanted = {
      sale,
      opensAtMs,
      closesAtMs: opensAtMs + 24 * hourMs,
      items,
      userLimit,
      holdMs: holdSeconds * 1_000,
      shards,
    }
    const { terms, expiresAtMs } = await first.store.openSale(wanted, ttlSeconds)
    for (const { store } of all.slice(1)) await store.openSale(terms, ttlSeconds, expiresAtMs)
    directory.opened(sale, terms.shards)
  }
}

let generator: Generator | undefined
process.on('message', (order: Order) => {
  void take(order)
})
process.on('disconnect', () => process.exit())

async function take(order: Order): Promise<void> {
  if (order.kind === 'run') {
    await generator?.run(order)
    return
  }
  generator = new Generator(order)
  await generator.open()
  say({ kind: 'ready' })
}

import { setTimeout as delay } from 'node:timers/promises'
import { NonceSource } from '../../core/ids.ts'
import { infoFields } from '../../core/redis/info.ts'
import type { Shards } from '../../server/worker/selling/shards.ts'
import { SeededRandom } from '../harness/seeded-random.ts'
import { Shop } from '../load/shop.ts'
import { encodeHistogram } from '../report/latencies.ts'
import type { PlaceOrder, RunOrder, RunResult } from './orders.ts'
import type { RunCounts } from './run-counts.ts'
import { VirtualBuyer } from './virtual-buyer.ts'

const pollMs = 2
/** Looks at the mean batch, each with a correction of the number of connections: in the warm-up, and while it is measured. */
const warmupLooks = 10
const measuredLooks = 20
/** Of the deviation in one look: the mean batch follows late, and leaps. */
const correctionShare = 0.6
/** Far above what gives any batch that Redis takes. */
const connectionsMax = 20_000

/** The connections of one run. */
export class Crowd {
  readonly #shards: Shards
  readonly #counts: RunCounts
  readonly #order: RunOrder
  readonly #newBuyer: () => VirtualBuyer
  #wanted = 0
  #active = 0

  constructor(shards: Shards, counts: RunCounts, { place, order }: { place: PlaceOrder; order: RunOrder }) {
    const { generator, generators } = place
    const { sale, items, users, fresh, hot, seed, mix } = order
    const shop = new Shop({ sale: { id: sale, items }, users, fresh, hot, generator, generators, seed })
    const random = new SeededRandom(seed + 1_000 + generator)
    const nonces = new NonceSource()
    this.#shards = shards
    this.#counts = counts
    this.#order = order
    const goesOn = (): boolean => {
      if (this.#active <= this.#wanted) return true
      this.#active -= 1
      return false
    }
    this.#newBuyer = () => new VirtualBuyer({ shards, counts, shop, mix, random, nonces, goesOn })
  }

  async run(): Promise<RunResult> {
    const { pressure, warmup, decisions, secondsMax } = this.#order
    const counts = this.#counts
    const ever = new Map<string, number>()
    const keep = (): void => {
      for (const [outcome, count] of counts.outcomes) ever.set(outcome, (ever.get(outcome) ?? 0) + count)
      counts.reset()
    }
    counts.reset()
    this.#want('connections' in pressure ? pressure.connections : pressure.batch * this.#shards.all.length)
    for (let look = 0; look < warmupLooks; look++) {
      await this.#decided(Math.ceil(warmup / warmupLooks), secondsMax)
      // The first look is at calls that nobody was waiting for.
      if (look > 0) this.#correct({ commands: counts.commands, calls: counts.calls })
      keep()
    }

    const before = await this.#cpu()
    counts.reset()
    for (let look = 0; look < measuredLooks; look++) {
      const { commands, calls } = counts
      await this.#decided(Math.ceil(decisions / measuredLooks), secondsMax / measuredLooks)
      this.#correct({ commands: counts.commands - commands, calls: counts.calls - calls })
    }
    const after = await this.#cpu()
    const { calls, commands, checkouts, withoutRight, loansAsked, undecided } = counts
    const of = (outcome: 'held' | 'purchased' | 'user_limit_reached') => counts.outcomes.get(outcome) ?? 0
    const result = {
      seconds: (after.atMs - before.atMs) / 1_000,
      connections: this.#wanted,
      decisions: counts.decisions,
      calls,
      commands,
      checkouts,
      withoutRight,
      loansAsked,
      undecided,
      held: of('held'),
      purchased: of('purchased'),
      limitReached: of('user_limit_reached'),
      redisUs: after.redisUs.map((us, shard) => us - (before.redisUs[shard] ?? 0)),
      generatorUs: after.ownUs - before.ownUs,
      latencies: encodeHistogram(counts.latencies),
    }
    this.#wanted = 0
    while (this.#active > 0) await delay(pollMs)
    await this.#shards.idle()
    keep()
    return { ...result, outcomesEver: Object.fromEntries(ever) }
  }

  /** More connections where the calls since the last look were smaller than they are to be, fewer where they were larger. */
  #correct({ commands, calls }: { commands: number; calls: number }): void {
    const { pressure } = this.#order
    if ('connections' in pressure || calls === 0) return
    this.#want(Math.round(this.#wanted * ((pressure.batch * calls) / commands) ** correctionShare))
  }

  #want(connections: number): void {
    this.#wanted = Math.max(1, Math.min(connectionsMax, connections))
    for (; this.#active < this.#wanted; this.#active++) this.#newBuyer().next()
  }

  /** So many more decisions, or so much time. */
  async #decided(count: number, secondsMax: number): Promise<void> {
    const goal = this.#counts.decisions + count
    const untilMs = performance.now() + secondsMax * 1_000
    while (this.#counts.decisions < goal && performance.now() < untilMs) await delay(pollMs)
  }

  async #cpu(): Promise<{ atMs: number; redisUs: number[]; ownUs: number }> {
    const infos = await Promise.all(this.#shards.all.map(({ store }) => store.redis.info('cpu')))
    const redisUs = infos.map((info) => {
      const fields = infoFields(info)
      return (Number(fields.get('used_cpu_user')) + Number(fields.get('used_cpu_sys'))) * 1e6
    })
    const { user, system } = process.cpuUsage()
    return { atMs: performance.now(), redisUs, ownUs: user + system }
  }
}

import { afterCode, BatchWriter, DecisionReader } from '../../core/decisions.ts'
import { NonceSource, nonceLength } from '../../core/ids.ts'
import { type Outcome, outcomes } from '../../core/outcomes.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard } from '../../core/shards.ts'
import type { EmbeddedRedis } from '../../ops/embedded/facts.ts'
import type { RecordedAttempt } from './record.ts'
import type { Scope } from './scope.ts'
import { commandTimeoutMs } from './services.ts'

const intervalMs = 3_600_000
const holdMs = 600_000
const ttlSeconds = 86_400

interface Hold {
  readonly index: string
  readonly nonce: string
  readonly buyer: string
}

/** Of a code's purchase or release: those that tell whose it is. */
const telling: ReadonlySet<Outcome> = new Set(['purchased', 'purchased_again', 'released', 'released_again'])

/**
 * Buyers without HTTP: has Redis decide batches in the current sale, and remembers what the record must hold for them.
 * Each item is checked out by a user of its own, once.
 */
export class Buyers {
  readonly store: SaleStore
  /** What was decided so far, in the order of the log. */
  readonly decided: RecordedAttempt[] = []
  /** Holds that were not purchased yet, oldest first. */
  readonly #holds: Hold[] = []
  readonly #nonces = new NonceSource()
  #sale = 0
  #nextIndex = 1

  constructor(store: SaleStore) {
    this.store = store
  }

  /** Claims the log's epoch and opens the sale, which makes the first entry of the log. */
  async open(items: number, epoch = 1): Promise<void> {
    const { nowMs } = await this.store.logState()
    await this.store.claimEpoch(epoch)
    this.#sale = Math.floor(nowMs / intervalMs)
    const opensAtMs = this.#sale * intervalMs
    const closesAtMs = opensAtMs + 2 * intervalMs
    await this.store.openSale(
      { sale: this.#sale, opensAtMs, closesAtMs, items, userLimit: 10, holdMs, shards: 1 },
      ttlSeconds,
    )
  }

  /** One batch of checkouts of items that nobody has. */
  async checkOut(count: number, userPrefix = 'buyer-'): Promise<void> {
    const commands = Array.from({ length: count }, () => {
      const index = String(this.#nextIndex++)
      return { index, nonce: this.#nonces.next(), user: `${userPrefix}${index}` }
    })
    await this.#decide(commands)
  }

  /** One batch of purchases with the codes of the oldest holds, as many as there are at most. */
  async purchase(count: number): Promise<void> {
    await this.#decide(this.#holds.splice(0, count).map(({ index, nonce }) => ({ index, nonce, user: '' })))
  }

  /** The same as with APP_BUYERS=signed: each code comes with its buyer. */
  async purchaseSigned(count: number): Promise<void> {
    await this.#decide(this.#holds.splice(0, count).map((hold) => withAfterCode(hold, { buyer: hold.buyer })))
  }

  /** One batch that gives back the oldest holds. */
  async release(count: number): Promise<void> {
    await this.#decide(this.#holds.splice(0, count).map((hold) => withAfterCode(hold, { isRelease: true })))
  }

  async #decide(commands: readonly { index: string; nonce: string; user: string }[]): Promise<void> {
    const batch = new BatchWriter(intervalMs)
    for (const { index, nonce, user } of commands) batch.add(this.#sale, index, nonce, user)
    const { results, id } = await this.store.decide(batch.encode())
    const decision = new DecisionReader(results)
    for (const [n, { index, nonce, user }] of commands.entries()) {
      decision.next()
      const { outcome } = decision
      if (outcome === 'held') this.#holds.push({ index, nonce, buyer: user })
      const isOfCode = user === ''
      this.decided.push({
        position: `${id}/${n}`,
        outcome: outcomes[outcome].code,
        item: `${this.#sale}-${index}`,
        user: isOfCode ? (telling.has(outcome) ? decision.user : null) : user,
        nonce: isOfCode || outcome === 'held' ? nonce.slice(0, nonceLength) : null,
      })
    }
  }
}

function withAfterCode({ index, nonce }: Hold, after: Parameters<typeof afterCode>[0]) {
  return { index, nonce: nonce + afterCode(after), user: '' }
}

/** Buyers with a connection of their own and an open sale. */
export async function startBuyers(scope: Scope, redis: EmbeddedRedis, items = 100_000): Promise<Buyers> {
  const store = new SaleStore(redis, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  scope.after(() => store.close())
  await store.connect()
  const buyers = new Buyers(store)
  await buyers.open(items)
  return buyers
}

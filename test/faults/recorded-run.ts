import assert from 'node:assert/strict'

import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { shardNumbers } from '../../core/shards.ts'
import { startCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { currentSale } from '../helpers/items.ts'
import type { Scope } from '../helpers/scope.ts'
import { seed } from '../helpers/seed.ts'
import { commandTimeoutMs, servicesEnv, startPostgres, startRedis } from '../helpers/services.ts'
import { judge } from './checker.ts'
import {
  type AnsweredRequest,
  type AttemptRow,
  comparePlaces,
  type Evidence,
  formatPlace,
  isAnswered,
  type Place,
  type PurchaseRow,
  type SentRequest,
} from './evidence.ts'
import type { Breach, Promised } from './findings.ts'
import { gatherFromStores } from './gather.ts'
import { RecordedClient } from './recorded-client.ts'
import { Shoppers } from './shoppers.ts'

export const intervalMs = 30 * 86_400_000
export const items = 300
/** Of each statement that reads what there is: a bound for busy machines. */
const gatherMsMax = 60_000

/** What shoppers saw at a real server, and what the stores hold then: right evidence, which a test changes in one way. */
export class RecordedRun {
  readonly right: Evidence

  private constructor(right: Evidence) {
    this.right = right
  }

  /** @param options.shards of the sale, all in one Redis: to the checker that is the same */
  static async record(
    scope: Scope,
    options: { shards: number; userLimit: number; users: number },
  ): Promise<RecordedRun> {
    const redis = await startRedis(scope)
    const postgres = await startPostgres(scope)
    const env = {
      ...servicesEnv({ db: postgres.connection, redis: redis.connection }),
      APP_SHARDS: String(options.shards),
      APP_SALE_INTERVAL_SECONDS: String(intervalMs / 1_000),
      APP_ITEM_NUMBER: String(items),
      APP_HOLD_SECONDS: '1',
      APP_USER_LIMIT: String(options.userLimit),
    }
    const cluster = await startCluster(scope, { env })
    const client = new RecordedClient(scope, { baseUrl: cluster.baseUrl, connections: 16 })
    const sale = { id: await currentSale(cluster), items, shards: options.shards }
    if (options.shards === 1) {
      await buyAndGiveBack(client, sale.id)
      await holdAgainst(client, sale.id)
    }
    const shoppers = new Shoppers({ client, sale, users: options.users, seed })
    const shopping = shoppers.start(16)
    await eventually(() => client.history.length >= 2_000, { what: '2,000 requests' })
    await shopping.stop()
    await cluster.stop()

    const stores = shardNumbers(options.shards).map((shard) => {
      return new SaleStore(redis.connection, { shard, name: 'hotcakes test', commandTimeoutMs })
    })
    scope.after(() => {
      for (const store of stores) store.close()
    })
    for (const store of stores) await store.connect()
    const database = new AsyncPostgres(postgres.connection, {
      applicationName: 'hotcakes test',
      deadlineMs: gatherMsMax,
    })
    scope.after(() => database.close())
    const { history, looks } = client
    return new RecordedRun({ history, looks, ...(await gatherFromStores(database, stores)), losses: [], ack: 'redis' })
  }

  breaches(evidence: Partial<Evidence>): readonly Breach[] {
    return judge({ ...this.right, ...evidence }, intervalMs).breaches
  }

  assertBroken(promise: Promised, evidence: Partial<Evidence>): void {
    const found = new Set(this.breaches(evidence).map((breach) => breach.promise))
    assert.ok(found.has(promise), `not found: ${promise}; found: ${[...found].join()} (SEED=${seed})`)
  }

  /** The row, or rows, of a place exchanged for what `change` makes of it. */
  rowsWith(place: Place, change: (row: AttemptRow) => readonly AttemptRow[]): AttemptRow[] {
    return this.right.attempts.flatMap((row) => (comparePlaces(row, place) === 0 ? change(row) : [row]))
  }

  historyWith(request: SentRequest, changes: Partial<SentRequest>): SentRequest[] {
    return this.right.history.map((one) => (one === request ? { ...one, ...changes } : one))
  }

  /** The first answered request whose row has one of the outcomes. */
  answered(...wanted: readonly AttemptRow['outcome'][]): { request: AnsweredRequest; row: AttemptRow } {
    return this.answeredWhere((row) => wanted.includes(row.outcome), wanted.join(' or '))
  }

  answeredWhere(isWanted: (row: AttemptRow) => boolean, what: string): { request: AnsweredRequest; row: AttemptRow } {
    const rows = new Map(this.right.attempts.map((row) => [formatPlace(row), row]))
    for (const request of this.right.history) {
      const row = isAnswered(request) ? rows.get(formatPlace(request.answer.place)) : undefined
      if (isAnswered(request) && row !== undefined && isWanted(row)) return { request, row }
    }
    throw new Error(`nothing was ${what} (SEED=${seed})`)
  }

  purchaseOf(row: AttemptRow): PurchaseRow {
    const found = this.right.purchases.find((purchase) => comparePlaces(purchase, row) === 0)
    assert.ok(found)
    return found
  }
}

async function decided(send: () => Promise<SentRequest>): Promise<AnsweredRequest['answer']> {
  const answer = async () => {
    const sent = await send()
    return isAnswered(sent) ? sent.answer : undefined
  }
  return await eventually(answer, { what: 'a decision' })
}

/** Shoppers seldom do it, and a run without it would lack an outcome. Not the last item: tests put it in another's place. */
async function buyAndGiveBack(client: RecordedClient, sale: number): Promise<void> {
  const index = String(items - 1)
  const bought = async () => {
    const { nonce = '' } = await decided(() => client.checkout('tour', sale, index))
    const { verdict } = await decided(() => client.purchase({ sale, index, nonce }))
    return verdict === 'accepted' ? nonce : undefined // on a busy machine the hold may have run out
  }
  const nonce = await eventually(bought, { what: 'a purchase' })
  await decided(() => client.release({ sale, index, nonce }))
}

/** And holds an item, gives it back and holds it again, when somebody else wants it. */
async function holdAgainst(client: RecordedClient, sale: number): Promise<void> {
  const index = String(items - 2)
  const isRefused = async () => {
    const { nonce = '' } = await decided(() => client.checkout('guest', sale, index))
    await decided(() => client.release({ sale, index, nonce }))
    await decided(() => client.checkout('guest', sale, index))
    // On a busy machine the hold may have run out.
    return (await decided(() => client.checkout('rival', sale, index))).verdict === 'item_held'
  }
  await eventually(isRefused, { what: 'a refusal for a hold' })
}

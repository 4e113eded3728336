import type { SaleTerms } from '../../core/decisions.ts'
import { outcomes } from '../../core/outcomes.ts'
import { transferKinds } from '../../core/postgres/record-columns.ts'
import { saleTermsColumns } from '../../core/postgres/recorded-sales.ts'
import { type Queries, readRecordHead } from '../../core/recovery/record-head.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import { shardOf } from '../../core/shards.ts'
import { decodeSnapshot } from '../../ops/tools/audit/redis-side.ts'
import type { AttemptRow, EpochRow, Evidence, PurchaseRow, RedisPart, TransferRow } from './evidence.ts'

type Recorded = Pick<Evidence, 'attempts' | 'purchases' | 'sales' | 'transfers' | 'epochs'>
type StoresEvidence = Recorded & Pick<Evidence, 'offsets' | 'redis'>

/**
 * Everything that Postgres and Redis hold. Only after the log was drained do they belong to one moment.
 * @param stores one for each shard, by its number
 */
export async function gatherFromStores(postgres: Queries, stores: readonly SaleStore[]): Promise<StoresEvidence> {
  const redis: RedisPart[] = []
  for (const store of stores) {
    for (const { sale } of await store.listSales()) {
      const part = decodeSnapshot(await store.snapshot(sale))
      if (part !== undefined) redis.push({ ...part, shard: store.shard })
    }
  }
  const heads = await Promise.all(stores.map(({ shard }) => readRecordHead(postgres, shard)))
  return { ...(await readRecord(postgres)), offsets: heads.map(({ committed }) => committed), redis }
}

async function readRecord(postgres: Queries): Promise<Recorded> {
  const attempts = await postgres.query<Omit<AttemptRow, 'operation'>>({
    text: `
      select shard, epoch::float8, batch::float8 as seq, n, outcome,
             (extract(epoch from decided_at) * 1000)::float8 as "decidedAtMs",
             sale_id::float8 as sale, item_index::text as index, user_id as user, nonce,
             (extract(epoch from expires_at) * 1000)::float8 as "expiresAtMs"
      from attempts`,
  })
  const purchases = await postgres.query<Omit<PurchaseRow, 'shard'>>({
    text: `
      select epoch::float8, batch::float8 as seq, n, sale_id::float8 as sale, item_index::text as index,
             user_id as user, nonce, (extract(epoch from purchased_at) * 1000)::float8 as "purchasedAtMs"
      from purchases`,
  })
  const transfers = await postgres.query<TransferRow>({
    text: `
      select shard, epoch::float8, batch::float8 as seq, n, (extract(epoch from decided_at) * 1000)::float8 as "decidedAtMs",
             sale_id::float8 as sale, user_id as user, peer, total,
             case kind when ${transferKinds.lent} then 'lent' else 'got' end as kind
      from right_transfers`,
  })
  type Begun = Omit<EpochRow, 'after'> & { readonly afterEpoch: number | null; readonly afterSeq: number | null }
  const epochs = await postgres.query<Begun>({
    text: `
      select shard, epoch::float8, after_epoch::float8 as "afterEpoch", after_seq::float8 as "afterSeq",
             (extract(epoch from begun_at) * 1000)::float8 as "begunAtMs"
      from log_epochs order by shard, epoch`,
  })
  const sales = await postgres.query<SaleTerms>({ text: `select ${saleTermsColumns} from sales` })
  const shardsOf = new Map(sales.map(({ sale, shards }) => [sale, shards]))
  return {
    attempts: attempts.map((row) => ({ ...row, operation: outcomes[row.outcome].operation })),
    purchases: purchases.map((row) => ({ ...row, shard: shardOf(row.index, shardsOf.get(row.sale) ?? 1) })),
    sales,
    transfers,
    epochs: epochs.map(({ shard, epoch, afterEpoch, afterSeq, begunAtMs }) => {
      const after = afterEpoch === null || afterSeq === null ? undefined : { epoch: afterEpoch, seq: afterSeq }
      return { shard, epoch, after, begunAtMs }
    }),
  }
}

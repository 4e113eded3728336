import type { SaleTerms } from '../../core/decisions.ts'
import { outcomes } from '../../core/outcomes.ts'
import { saleTermsColumns } from '../../core/postgres/recorded-sales.ts'
import { type Queries, readRecordHead } from '../../core/recovery/record-head.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard } from '../../core/shards.ts'
import { decodeSnapshot } from '../../ops/tools/audit/redis-side.ts'
import type { AttemptRow, Evidence, PurchaseRow } from './evidence.ts'

type StoresEvidence = Pick<Evidence, 'attempts' | 'purchases' | 'sales' | 'offset' | 'redis'>

/** Everything that Postgres and Redis hold. Only after the log was drained do they belong to one moment. */
export async function gatherFromStores(postgres: Queries, store: SaleStore): Promise<StoresEvidence> {
  const snapshots = await Promise.all((await store.listSales()).map(({ sale }) => store.snapshot(sale)))
  return {
    ...(await readRecord(postgres)),
    redis: snapshots.flatMap((snapshot) => decodeSnapshot(snapshot) ?? []),
  }
}

async function readRecord(postgres: Queries): Promise<Omit<StoresEvidence, 'redis'>> {
  const attempts = await postgres.query<Omit<AttemptRow, 'operation'>>({
    text: `
      select epoch::float8, batch::float8 as seq, n, outcome, (extract(epoch from decided_at) * 1000)::float8 as "decidedAtMs",
             sale_id::float8 as sale, item_index::text as index, user_id as user, nonce,
             (extract(epoch from expires_at) * 1000)::float8 as "expiresAtMs"
      from attempts`,
  })
  const purchases = await postgres.query<PurchaseRow>({
    text: `
      select epoch::float8, batch::float8 as seq, n, sale_id::float8 as sale, item_index::text as index,
             user_id as user, nonce, (extract(epoch from purchased_at) * 1000)::float8 as "purchasedAtMs"
      from purchases`,
  })
  const sales = await postgres.query<SaleTerms>({ text: `select ${saleTermsColumns} from sales` })
  return {
    attempts: attempts.map((row) => ({ ...row, operation: outcomes[row.outcome].operation })),
    purchases,
    sales,
    offset: (await readRecordHead(postgres, firstShard)).committed,
  }
}

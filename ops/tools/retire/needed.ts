import { Fault } from '../../../core/faults.ts'
import { dayIndexDelayMs } from '../../../core/limits.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { shardCountOf, shardsText } from '../../../core/postgres/log-offset.ts'
import { firstConnect, type RedisSettings } from '../../../core/redis/connection.ts'

import { SaleStore } from '../../../core/redis/sale-store.ts'
import { shardNumbers } from '../../../core/shards.ts'
import { isoTime, msPerDay, msPerSecond } from '../../../core/time.ts'
import { auditAheadMs, auditRedisTimeoutMs } from '../../limits.ts'
import { DayNeeded } from './refusals.ts'

/** From when on rows are needed, or may still come, and why. */
interface Need {
  readonly fromMs: number
  readonly why: string
}

/**
 * Rows of the day that is under way, of what the log still has, and of each sale of which something may be decided or compared:
 * a rebuild reads the attempts of a live sale, and the audit those of a sale that Redis lists.
 * @throws DayNeeded; Fault when Postgres or one of the shards can't be asked: then nobody knows
 */
export async function assertNotNeeded(beforeMs: number, sources: { postgres: Postgres; redis: RedisSettings }) {
  const needs = [...needsOfPostgres(sources.postgres), ...(await needsOfRedis(sources))]
  const first = needs.reduce((a, b) => (b.fromMs < a.fromMs ? b : a))
  if (beforeMs <= first.fromMs) return
  const day = isoTime(Math.floor(first.fromMs / msPerDay) * msPerDay).slice(0, 10)
  throw new DayNeeded(`${first.why}: --before ${day} is the latest for now`)
}

function needsOfPostgres(postgres: Postgres): Need[] {
  const [row] = postgres.query<{ nowMs: number; sale: string | null; opensAtMs: number | null }>(`
    select (extract(epoch from now()) * 1000)::float8 as "nowMs", sale_id::text as sale,
           (extract(epoch from opens_at) * 1000)::float8 as "opensAtMs"
    from (select) always
    left join (select sale_id, opens_at from sales where closes_at + hold_seconds * interval '1 s' > now()
               order by opens_at limit 1) live on true`)
  const today = { fromMs: (row?.nowMs ?? 0) - dayIndexDelayMs, why: 'a day is over half an hour after its end' }
  return row?.opensAtMs == null ? [today] : [today, needOfSale(`the sale ${row.sale} is not over`, row.opensAtMs)]
}

/** Attempts may name a sale as soon as it is opened, which is before its time. */
function needOfSale(why: string, opensAtMs: number): Need {
  return { fromMs: opensAtMs - auditAheadMs, why }
}

async function needsOfRedis({ postgres, redis }: { postgres: Postgres; redis: RedisSettings }): Promise<Need[]> {
  const shards = shardNumbers(shardCountOf(postgres.query<{ shard: number }>(shardsText)))
  const [row] = postgres.query<{ record: string }>(
    'select record::text as record from log_offsets order by shard limit 1',
  )
  const needs: Need[] = []
  for (const shard of shards) {
    const store = new SaleStore(redis, { shard, name: 'hotcakes retire', commandTimeoutMs: auditRedisTimeoutMs })
    try {
      needs.push(
        ...(await needsOfShard(store, {
          redis,
          record: row?.record,
          of: shards.length > 1 ? ` of shard ${shard}` : '',
        })),
      )
    } finally {
      store.close()
    }
  }
  return needs
}

interface ShardOptions {
  readonly redis: RedisSettings
  readonly record: string | undefined
  /** Names the shard, where there are several. */
  readonly of: string
}

async function needsOfShard(store: SaleStore, { redis, record, of }: ShardOptions): Promise<Need[]> {
  await firstConnect(store.redis, redis)
  const { nowMs, lagSeconds, backlogEntries, recordId } = await store.logState()
  if (recordId !== undefined && recordId !== '' && recordId !== record) {
    throw new Fault('HC_RECORD_FOREIGN', `Redis${of} belongs to the record ${recordId}, and this one is ${record}`)
  }
  const log =
    backlogEntries === 0
      ? { fromMs: nowMs - dayIndexDelayMs, why: 'a day is over half an hour after its end' }
      : {
          fromMs: nowMs - lagSeconds * msPerSecond - dayIndexDelayMs,
          why: `the log${of} has entries that are not in Postgres yet`,
        }
  const [oldest] = (await store.listSales()).toSorted((a, b) => a.opensAtMs - b.opensAtMs)
  return oldest === undefined ? [log] : [log, needOfSale(`Redis still lists the sale ${oldest.sale}`, oldest.opensAtMs)]
}

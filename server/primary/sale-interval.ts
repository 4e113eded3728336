import type { Config } from '../../core/config/load.ts'
import { Fault } from '../../core/faults.ts'
import { saleNumbersAheadMs, sharedSettingLeaseMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import type { Queries } from '../../core/recovery/record-head.ts'
import { keptSetting } from '../../core/redis/kept-setting.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import { whenAvailable } from './dependencies.ts'
import { SharedSetting } from './shared-setting.ts'
import type { Shutdown } from './shutdown.ts'

export interface SaleIntervalOptions {
  /** The first shard's: a sale's terms are those that it lists. */
  readonly store: SaleStore
  readonly config: Config
  readonly log: Log
  readonly shutdown: Shutdown
}

/** Keeps the interval between sales, for all servers. @throws Fault; the reason of the shutdown's signal */
export async function keepSaleInterval({ store, config, log, shutdown }: SaleIntervalOptions): Promise<void> {
  const intervalMs = config.app.saleIntervalSeconds * 1_000
  const patience = { log, signal: shutdown.signal }
  const redis = { what: 'Redis', unavailable: 'HC_REDIS_UNAVAILABLE', ...patience } as const
  const { nowMs } = await whenAvailable(() => store.logState(), redis)
  const database = new AsyncPostgres(config.db, { applicationName: 'hotcakes primary', connectionsMax: 1 })
  try {
    const assertUnused = () => assertNumbersUnused(database, { intervalMs, nowMs })
    const what = 'Postgres to say which numbers sales have had'
    await whenAvailable(assertUnused, { what, unavailable: 'HC_POSTGRES_UNAVAILABLE', ...patience })
  } finally {
    await database.close()
  }
  const setting = new SharedSetting({
    store,
    name: 'interval',
    value: intervalMs,
    env: 'APP_SALE_INTERVAL_SECONDS',
    shown: (kept) => kept / 1_000,
    fault: 'HC_SALE_INTERVAL',
    others: 'servers with another interval to stop',
    log,
    shutdown,
  })
  await setting.open()
}

/** The number of shards of the sales to come, for all servers. To be opened before the interval is kept. */
export function sharedShards({ store, config, log, shutdown }: SaleIntervalOptions): SharedSetting {
  const { shards } = config.app
  return new SharedSetting({
    store,
    name: 'shards',
    value: shards,
    // With one shard the two versions sell side by side.
    ...(shards > 1 ? { alsoWaits: () => assertAllKnowShards(store, shards) } : {}),
    env: 'APP_SHARDS',
    shown: (kept) => kept,
    fault: 'HC_SHARDS',
    others: 'servers with another number of shards to stop',
    log,
    shutdown,
  })
}

/**
 * Servers of 0.1.0 keep the interval and no number of shards. They can't read a sale of several: they would answer nothing,
 * and stop at its entry in the log, which then nobody drains.
 * @throws Fault HC_SHARDS
 */
async function assertAllKnowShards(store: SaleStore, shards: number): Promise<void> {
  if ((await keptSetting(store, 'shards')) !== undefined) return
  if ((await keptSetting(store, 'interval')) === undefined) return
  const what = `a server on this Redis is of a version that can't sell over APP_SHARDS=${shards}`
  const fix = `Stop all such servers: ${sharedSettingLeaseMs / 1_000} s later shards can be taken`
  throw new Fault('HC_SHARDS', `${what}. ${fix}`)
}

/**
 * A sale's number is the time of its opening divided by the interval. After a small change of the interval the numbers of
 * the next sales may be those of sales that are on record, whose items are sold.
 * @throws Fault HC_SALE_INTERVAL
 */
export async function assertNumbersUnused(
  session: Queries,
  { intervalMs, nowMs }: { intervalMs: number; nowMs: number },
): Promise<void> {
  const first = Math.floor(nowMs / intervalMs)
  const last = first + Math.floor(saleNumbersAheadMs / intervalMs)
  const text = `
    select sale_id::float8 as sale from sales
    where sale_id between $1 and $2 and (extract(epoch from opens_at) * 1000)::bigint <> sale_id * $3::bigint
    order by sale_id limit 1`
  const [used] = await session.query<{ sale: number }>({ text }, [first, last, intervalMs])
  if (used === undefined) return
  const what = `sale ${used.sale} is on record with another interval than APP_SALE_INTERVAL_SECONDS=${intervalMs / 1_000}`
  const fix = 'Take the interval of before, a shorter one, or one that is longer by more'
  throw new Fault('HC_SALE_INTERVAL', `${what}, and its number would come again. ${fix}`)
}

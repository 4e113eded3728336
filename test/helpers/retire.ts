import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'

import type { Redis } from 'ioredis'

import { connectPostgres, type Postgres } from '../../core/postgres/connection.ts'
import { asOwner } from '../../core/postgres/owner.ts'
import { outcomeCountsText } from '../../core/postgres/recorded-sales.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard } from '../../core/shards.ts'
import type { EmbeddedPostgres, EmbeddedRedis } from '../../ops/embedded/facts.ts'
import { type Asked, retire } from '../../ops/tools/retire/retire.ts'
import { unwatched } from '../../ops/tools/retire/steps.ts'
import { Buyers } from './buyers.ts'
import { makePastDays, type PastDays } from './past-days.ts'
import { startPersister } from './persister.ts'
import { newRecord } from './record.ts'
import type { Scope } from './scope.ts'
import { commandTimeoutMs, openRedis, startRedis } from './services.ts'
import { runTool, type ToolRun } from './tool.ts'

export const retireProgram = fileURLToPath(new URL('../../ops/tools/retire/main.js', import.meta.url))

/** As a user would run it. */
export function runRetire(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<ToolRun> {
  return runTool(retireProgram, env, args)
}

/** Without a process of its own, and without what it says. @throws as retire() */
export async function retireHere({ db, redis }: Services, asked: Pick<Asked, 'beforeMs' | 'archive'>): Promise<void> {
  const [ignored, postgres] = [() => undefined, connectPostgres(asOwner(db), { applicationName: 'hotcakes retire' })]
  const options = { postgres, redis, say: ignored, tell: ignored, assertWanted: ignored, reached: unwatched }
  try {
    await retire({ ...asked, isDry: false }, options)
  } finally {
    postgres.close()
  }
}

interface Services {
  readonly db: EmbeddedPostgres
  readonly redis: EmbeddedRedis
}

export interface PastShop {
  readonly redis: EmbeddedRedis
  /** May do everything there. */
  readonly admin: Redis
  readonly postgres: Postgres
  readonly buyers: Buyers
  readonly past: PastDays
}

/** A shop with days that are over, and a sale of now in the epoch that follows on them: its audit passes. */
export async function startPastShop(
  scope: Scope,
  db: EmbeddedPostgres,
  options: Parameters<typeof makePastDays>[1] = {},
): Promise<PastShop> {
  const { connection: redis, admin } = await startRedis(scope)
  const postgres = newRecord(scope, db)
  const past = makePastDays(postgres, options)
  const store = new SaleStore(redis, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  scope.after(() => store.close())
  await store.connect()
  const mighty = await openRedis(scope, admin)
  for (const [code, count] of past.unlisted) await mighty.hincrby(store.keys.countsUnlisted, String(code), count)
  postgres.query(`insert into log_epochs (shard, epoch, run, after_epoch, after_seq) values (0, 2, 'of now', 1, $1)`, [
    past.lastBatches[0] ?? 0,
  ])
  const buyers = new Buyers(store)
  await buyers.open(100_000, 2)
  await buyers.checkOut(5)
  await buyers.purchase(3)
  await drain(scope, { db, redis })
  return { redis, admin: mighty, postgres, buyers, past }
}

/** Copies all that the log has. */
export async function drain(scope: Scope, services: Services): Promise<void> {
  const persister = await startPersister(scope, services)
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
}

/** Of each sale: outcome code -> how often, as the API tells it. */
export function countsOfSales(postgres: Postgres, sales: readonly number[]): Record<string, number>[] {
  return sales.map((sale) => {
    const rows = postgres.query<{ outcome: number; count: number }>(outcomeCountsText, [sale])
    return Object.fromEntries(rows.map(({ outcome, count }) => [outcome, count]))
  })
}

/** Table -> days of which it has a partition. */
export function partitionedDays(postgres: Postgres): string[] {
  const rows = postgres.query<{ day: string }>('select distinct day::text as day from attempts_partitions order by day')
  return rows.map(({ day }) => day)
}

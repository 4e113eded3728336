// Three shards in one Redis with their record, without a server: a test admits, sells and drains.

import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'

import type { SaleTerms } from '../../core/decisions.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import type { Postgres } from '../../core/postgres/connection.ts'
import { type Admission, type AdmissionOptions, admitShards } from '../../core/recovery/admission.ts'
import type { ShardAtAdmission } from '../../core/recovery/candidate.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { decodeUserEntry } from '../../core/redis/user-entry.ts'
import { baseRights, homeShard } from '../../core/rights.ts'
import { shardNumbers } from '../../core/shards.ts'
import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { eventually } from './eventually.ts'
import { startPersister } from './persister.ts'
import { newRecord } from './record.ts'
import type { Scope } from './scope.ts'
import { commandTimeoutMs, openRedis, startRedis, type TestRedis } from './services.ts'
import { SpreadSale } from './spread-sale.ts'

const intervalMs = 3_600_000
export const ttlSeconds = 86_400

export interface Installation {
  readonly redis: TestRedis
  readonly admin: Redis
  readonly postgres: Postgres
  readonly database: AsyncPostgres
  readonly stores: readonly SaleStore[]
  /** Of every shard what came of it. `changes`: to what a shard brings along, by its number. */
  admit(
    changes?: Readonly<Record<number, Partial<ShardAtAdmission>>>,
    options?: Partial<AdmissionOptions>,
  ): Promise<readonly Admission[] | 'busy'>
  /** A sale over all shards. */
  open(options?: { items?: number; userLimit?: number; holdMs?: number }): Promise<SpreadSale>
  /** Copies all that there is, and ends. */
  drain(): Promise<void>
}

export async function startInstallation(scope: Scope, db: EmbeddedPostgres, shards: number): Promise<Installation> {
  const redis = await startRedis(scope)
  const postgres = newRecord(scope, db, { shards })
  const database = new AsyncPostgres(db, { applicationName: 'hotcakes test', connectionsMax: 4, deadlineMs: 30_000 })
  scope.after(() => database.close())
  const stores = shardNumbers(shards).map(
    (shard) => new SaleStore(redis.connection, { shard, name: 'hotcakes test', commandTimeoutMs }),
  )
  scope.after(() => {
    for (const store of stores) store.close()
  })
  await Promise.all(stores.map((store) => store.connect()))
  const all: Pick<AdmissionOptions, 'database' | 'ttlSeconds' | 'say'> = { database, ttlSeconds, say: () => undefined }
  return {
    redis,
    admin: await openRedis(scope, redis.admin),
    postgres,
    database,
    stores,
    admit: async (changes = {}, options = {}) => {
      await eventually(() => stores.every(({ isUp }) => isUp), { what: 'the connections to Redis' })
      const at = stores.map((store) => ({ store, seen: undefined, may: 'rebuild' as const, ...changes[store.shard] }))
      return await admitShards({ ...all, shards: at, ...options })
    },
    open: async ({ items = 60, userLimit = 3, holdMs = 600_000 } = {}) => {
      const [first, ...others] = stores
      assert.ok(first)
      const { nowMs } = await first.logState()
      const sale = Math.floor(nowMs / intervalMs)
      const opensAtMs = sale * intervalMs
      const asked: SaleTerms = {
        sale,
        opensAtMs,
        closesAtMs: opensAtMs + 2 * intervalMs,
        items,
        userLimit,
        holdMs,
        shards,
      }
      const { terms, expiresAtMs } = await first.openSale(asked, ttlSeconds)
      for (const other of others) await other.openSale(terms, ttlSeconds, expiresAtMs)
      return new SpreadSale(stores, terms)
    },
    drain: async () => {
      const persister = await startPersister(scope, { db, redis: redis.connection, shardCount: shards })
      assert.deepEqual(await persister.drain(), { code: 0, signal: null })
    },
  }
}

/** What a shard has of a user's rights. */
export interface RightsHere {
  /** Live holds and purchases. */
  readonly used: number
  readonly rights: number
  readonly lent: readonly number[]
  readonly got: readonly number[]
}

/** Of each shard. Exact: what is under way between two of them is in neither. */
export async function rightsOf(sale: SpreadSale, user: string): Promise<RightsHere[]> {
  const { shards, userLimit: limit, opensAtMs } = sale.terms
  return await Promise.all(
    sale.stores.map(async (store) => {
      const { users, nowMs } = await store.snapshot(sale.sale)
      const bytes = users.get(user)
      const entry = bytes === undefined ? undefined : decodeUserEntry(bytes, opensAtMs, shards)
      const [lent, got] = [Array<number>(shards).fill(0), Array<number>(shards).fill(0)]
      for (const moved of entry?.rights ?? []) {
        lent[moved.peer] = moved.lent
        got[moved.peer] = moved.got
      }
      const base = baseRights({ limit, shards, shard: store.shard, home: homeShard(user, shards) })
      const used = (entry?.purchases ?? 0) + (entry?.holdsExpireAtMs.filter((at) => at > nowMs).length ?? 0)
      return { used, rights: base + sum(got) - sum(lent), lent, got }
    }),
  )
}

/** In no shard more is used than there are rights, and no right is in two shards. */
export async function assertRightsHold(sale: SpreadSale, user: string): Promise<void> {
  const all = await rightsOf(sale, user)
  for (const [shard, { used, rights }] of all.entries())
    assert.ok(used <= rights, `${user} uses ${used} of ${rights} rights in shard ${shard}: ${JSON.stringify(all)}`)
  for (const [from, lender] of all.entries()) {
    for (const [to, receiver] of all.entries())
      assert.ok(
        (receiver.got[from] ?? 0) <= (lender.lent[to] ?? 0),
        `${user}, ${from} to ${to}: ${JSON.stringify(all)}`,
      )
  }
  assert.ok(sum(all.map(({ rights }) => rights)) <= sale.terms.userLimit, JSON.stringify(all))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

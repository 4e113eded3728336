import { setTimeout as delay } from 'node:timers/promises'

import type { Config } from '../../../core/config/load.ts'
import { Fault } from '../../../core/faults.ts'
import { recoveryLock } from '../../../core/postgres/advisory-locks.ts'
import type { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import { type Admission, admitShards } from '../../../core/recovery/admission.ts'
import { entriesBetween } from '../../../core/recovery/log-chain.ts'
import { noRun, type Queries, readRecordHead } from '../../../core/recovery/record-head.ts'
import { standingOf } from '../../../core/recovery/standing.ts'
import { judge } from '../../../core/recovery/verdict.ts'
import type { SaleStore } from '../../../core/redis/sale-store.ts'
import { movePollMs, moveSayMs } from '../../limits.ts'

export interface ClosingOptions {
  readonly config: Config
  readonly database: AsyncPostgres
  /** All, by their numbers. */
  readonly stores: readonly SaleStore[]
  readonly shard: number
  readonly waitSeconds: number
  readonly say: (text: string) => void
}

/**
 * Closes a shard, and lets it decide again. Closed means that Redis names no run that may decide. While somebody has the lock of
 * admissions no server changes that; when the holder dies, they admit what is whole by themselves.
 */
export class Closing {
  readonly #options: ClosingOptions

  constructor(options: ClosingOptions) {
    this.#options = options
  }

  /** Runs `work` with the lock of admissions. @throws Fault HC_SHARD_AWAITED when others have it for too long */
  async alone<Result>(work: (session: Queries) => Promise<Result>): Promise<Result> {
    const { database, waitSeconds, say } = this.#options
    const deadlineMs = performance.now() + waitSeconds * 1_000
    return await database.transaction(async (session) => {
      for (let attempts = 1; ; attempts++) {
        const text = 'select pg_try_advisory_xact_lock($1, $2) as mine'
        const [lock] = await session.query<{ mine: boolean }>({ text }, recoveryLock)
        if (lock?.mine === true) return await work(session)
        if (attempts === 1) say('waiting: another process admits or rebuilds shards, or moves one')
        if (performance.now() > deadlineMs)
          throw new Fault('HC_SHARD_AWAITED', 'another process admits or rebuilds shards, or moves one')
        await delay(movePollMs)
      }
    })
  }

  /** From here on nobody decides there. @throws Fault when the shard, or another one, isn't whole */
  async fence(session: Queries): Promise<void> {
    const { stores, shard } = this.#options
    for (const store of stores) await assertWhole(session, store, { mayBeClosed: store.shard === shard })
    const store = this.#moved
    const { epoch, recordId } = await store.logState()
    if (epoch === undefined || recordId === undefined) throw notWhole(shard, 'it has no epoch')
    await store.admit({ run: noRun, epoch, recordId })
  }

  /** Until Postgres has all that was decided. @throws Fault HC_SHARD_AWAITED */
  async drain(session: Queries, throwIfAsked: () => void): Promise<void> {
    const { shard, waitSeconds, say } = this.#options
    const store = this.#moved
    const { last } = await store.logState()
    const deadlineMs = performance.now() + waitSeconds * 1_000
    for (let sayMs = 0; ; ) {
      throwIfAsked()
      const { committed, epochs } = await readRecordHead(session, shard)
      const entries = entriesBetween(committed, last, epochs)
      if (entries === 0) return
      const nowMs = performance.now()
      const what = `${entries} log entries of shard ${shard} are not in Postgres yet`
      if (nowMs > deadlineMs)
        throw new Fault('HC_SHARD_AWAITED', `${what}, and no server copies them in time: start one, or wait longer`)
      if (nowMs > sayMs) {
        say(`draining: ${what}`)
        sayMs = nowMs + moveSayMs
      }
      await delay(movePollMs)
    }
  }

  /** Until a server has admitted it, or this does: whoever is first. @throws Fault that says why nobody can in time */
  async admit(): Promise<void> {
    const { config, database, stores, shard, waitSeconds } = this.#options
    const ttlSeconds = config.redis.ttlHours * 3_600
    const deadlineMs = performance.now() + waitSeconds * 1_000
    const shards = stores.map((store) => {
      return { store, seen: undefined, may: store.shard === shard ? ('admit' as const) : ('ask' as const) }
    })
    for (;;) {
      const reason = await this.#attempt(() => admitShards({ shards, database, ttlSeconds, say: () => undefined }))
      if (reason === undefined) return
      if (performance.now() > deadlineMs) throw reason
      await delay(movePollMs)
    }
  }

  /** @returns why it doesn't decide yet; undefined: it does */
  async #attempt(admit: () => Promise<readonly Admission[] | 'busy'>): Promise<Fault | undefined> {
    const { shard } = this.#options
    try {
      // Where the shard is now: it was closed on the way, and its connection may still lead to where it was.
      if (!this.#moved.isUp) throw new Fault('HC_REDIS_UNAVAILABLE', 'no connection to the master of the shard')
      const admissions = await admit()
      if (admissions === 'busy') return new Fault('HC_SHARD_AWAITED', 'another process admits or rebuilds shards')
      const admission = admissions.find((each) => each.shard === shard)
      switch (admission?.kind) {
        case 'admitted':
        case 'unneeded':
          return undefined
        case 'waits':
        case 'out':
        case 'declared_lost':
          return admission.fault
        default:
          return new Fault('HC_RECORD_UNSOUND', `the shard is not whole (${admission?.kind})`)
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return error
    }
  }

  get #moved(): SaleStore {
    return this.#options.stores[this.#options.shard] as SaleStore
  }
}

/** Decides, or could: what is closed was closed by a move before. */
async function assertWhole(
  session: Queries,
  store: SaleStore,
  { mayBeClosed }: { readonly mayBeClosed: boolean },
): Promise<void> {
  const { run, shard } = store
  // Before and after: a persister may copy and trim meanwhile.
  const before = await readRecordHead(session, shard, { run })
  const [history, redis] = [await store.history(), await store.logState()]
  const head = await readRecordHead(session, shard, { run })
  const verdict = judge({ redis, before, after: head, seen: undefined })
  if (verdict.kind !== 'sound')
    throw notWhole(shard, 'fault' in verdict ? verdict.fault.message : 'it has no record yet')
  // What is copied has to come from the run that Postgres names.
  const isClosed = mayBeClosed && head.run === run && redis.admittedRun === noRun
  if (!isClosed && standingOf({ run, history }, redis, head) !== 'admitted')
    throw notWhole(shard, 'its run of Redis was not admitted yet')
}

function notWhole(shard: number, why: string): Fault {
  const advice = 'A shard moves when all of them decide: see /readyz of a server, or npm run recover'
  return new Fault('HC_SHARD_AWAITED', `shard ${shard} doesn't decide: ${why}. ${advice}`)
}

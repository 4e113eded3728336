// `npm run recover`: the assembly point. See command.ts for what it takes and answers.

import { setTimeout as delay } from 'node:timers/promises'

import { runCommand, UsageError, type Values } from '../../../core/command-line.mjs'
import { redisPlace } from '../../../core/config/cluster-nodes.ts'
import { hostAndPort } from '../../../core/config/listen-hosts.ts'
import { type Config, loadConfig } from '../../../core/config/load.ts'
import { Fault } from '../../../core/faults.ts'
import { logStateIntervalMs, rebuildMsMax, waitSayMs } from '../../../core/limits.ts'
import { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import { shardCountOf, shardsText } from '../../../core/postgres/log-offset.ts'
import { type Admission, admitShards } from '../../../core/recovery/admission.ts'
import type { ShardAtAdmission } from '../../../core/recovery/candidate.ts'
import { declareLost } from '../../../core/recovery/declare-lost.ts'
import { SaleStore } from '../../../core/redis/sale-store.ts'
import { shardNumbers } from '../../../core/shards.ts'
import { withServices } from '../../embedded/with-services.ts'
import { failureText } from '../failure-text.ts'
import { recoverCommand } from './command.ts'
import { exitStatus, report, sentenceOf, statusOf } from './report.ts'

type Options = Values<typeof recoverCommand.options>

// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(await runCommand(recoverCommand, process.argv.slice(2), main))

async function main(options: Options): Promise<number> {
  try {
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    return await withServices(config, say, (effective) => recover(effective, options))
  } catch (error) {
    if (error instanceof UsageError) throw error
    say(failureText(error))
    return exitStatus.failed
  }
}

function say(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'hotcakes recover: ')}\n`)
}

/** @returns the exit status */
async function recover(config: Config, { waitSeconds, shard: lost }: Options): Promise<number> {
  const { db, redis } = config
  const database = new AsyncPostgres(db, {
    applicationName: 'hotcakes recover',
    connectionsMax: 2,
    deadlineMs: rebuildMsMax,
  })
  const where = `${redisPlace(redis)} and Postgres at ${hostAndPort(db.host, db.port)}`
  const late = setTimeout(() => say(`waiting for ${where}`), waitSayMs)
  const stores: SaleStore[] = []
  try {
    const count = shardCountOf(await database.query<{ shard: number }>({ text: shardsText }))
    if (lost !== undefined && lost >= count) throw new UsageError(`--shard: there are the shards 0 to ${count - 1}`)
    for (const shard of shardNumbers(count)) stores.push(new SaleStore(redis, { shard, name: 'hotcakes recover' }))
    const reached = await Promise.all(stores.map((store) => connect(store, config)))
    const [{ fault } = {}] = reached
    if (fault !== undefined && lost === undefined && reached.every(({ isUp }) => !isUp)) throw fault
    clearTimeout(late)
    const deadlineMs = performance.now() + waitSeconds * 1_000
    if (lost !== undefined) {
      const status = await declare(database, { shard: lost, isReached: reached[lost]?.isUp === true, deadlineMs })
      if (status !== exitStatus.whole) return status
    }
    const shards = reached.map(({ store, isUp }) => atAdmission(store, isUp))
    return report(await admitWithin(database, { config, shards, deadlineMs }), { say, count })
  } finally {
    clearTimeout(late)
    for (const store of stores) store.close()
    await database.close()
  }
}

interface Reached {
  readonly store: SaleStore
  readonly isUp: boolean
  readonly fault?: Fault
}

/** One that can't be reached is looked at later: it may be the one of several that is lost. */
async function connect(store: SaleStore, { redis }: Config): Promise<Reached> {
  try {
    await store.connect()
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'HC_REDIS_UNAVAILABLE') throw error
    return { store, isUp: false, fault: error }
  }
  const { unsuitable } = await store.inspectDurability()
  if (unsuitable.length === 0 || !redis.requireDurable) return { store, isUp: true }
  throw new Fault('HC_REDIS_UNSUITABLE', `Redis of shard ${store.shard}: ${unsuitable.join('; ')}`)
}

/** What was answered nobody here knows: a server that found it missing has fenced Redis off. */
function atAdmission(store: SaleStore, isUp: boolean): ShardAtAdmission {
  return { store, seen: undefined, may: isUp ? 'rebuild' : 'ask', evenReplaced: true }
}

interface DeclareOptions {
  readonly shard: number
  readonly isReached: boolean
  readonly deadlineMs: number
}

async function declare(database: AsyncPostgres, { shard, isReached, deadlineMs }: DeclareOptions): Promise<number> {
  if (isReached) {
    say(`shard ${shard} can be reached: it is not declared lost. Without --shard it is rebuilt if it needs that`)
    return exitStatus.refused
  }
  while ((await declareLost(database, shard)) === 'busy') {
    if (performance.now() > deadlineMs) {
      say('another recovery is at work')
      return exitStatus.notYet
    }
    await delay(logStateIntervalMs)
  }
  say(
    `shard ${shard} is declared lost: it comes back by a rebuild, and what of its log was not in Postgres is given up`,
  )
  return exitStatus.whole
}

interface WithinOptions {
  readonly config: Config
  readonly shards: readonly ShardAtAdmission[]
  readonly deadlineMs: number
}

/**
 * Repeated while a server or another recovery is at work on what it has to wait for. What was found last tells more in the end
 * than that somebody is at it just then.
 */
async function admitWithin(
  database: AsyncPostgres,
  { config, shards, deadlineMs }: WithinOptions,
): Promise<readonly Admission[] | 'busy'> {
  const ttlSeconds = config.redis.ttlHours * 3_600
  let found: readonly Admission[] | undefined
  for (let attempts = 1; ; attempts++) {
    const admissions = await admitShards({ shards, database, ttlSeconds, say })
    const unfinished = admissions === 'busy' ? [] : admissions.filter((each) => statusOf(each) === exitStatus.notYet)
    if (admissions !== 'busy' && unfinished.length === 0) return admissions
    if (admissions !== 'busy') found = admissions
    if (attempts === 1) {
      if (admissions === 'busy') say('another recovery is at work')
      for (const each of unfinished) say(sentenceOf(each, shards.length))
    }
    if (performance.now() > deadlineMs) return found ?? 'busy'
    await delay(logStateIntervalMs)
  }
}

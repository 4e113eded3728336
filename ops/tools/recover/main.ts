// `npm run recover`: the assembly point. See command.ts for what it takes and answers.

import { setTimeout as delay } from 'node:timers/promises'

import { runCommand, type Values } from '../../../core/command-line.mjs'
import { hostAndPort } from '../../../core/config/listen-hosts.ts'
import { type Config, loadConfig } from '../../../core/config/load.ts'
import { logStateIntervalMs, rebuildMsMax, waitSayMs } from '../../../core/limits.ts'
import { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import { type Recovery, recover } from '../../../core/recovery/recover.ts'
import { SaleStore } from '../../../core/redis/sale-store.ts'
import { firstShard } from '../../../core/shards.ts'
import { withServices } from '../../embedded/with-services.ts'
import { failureText } from '../failure-text.ts'
import { recoverCommand } from './command.ts'

const exitStatus = { whole: 0, refused: 1, notYet: 2, failed: 3 } as const

// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(await runCommand(recoverCommand, process.argv.slice(2), main))

async function main({ waitSeconds }: Values<typeof recoverCommand.options>): Promise<number> {
  try {
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    const recovery = await withServices(config, say, (effective) => recoverWithin(effective, waitSeconds * 1_000))
    return sayResult(recovery)
  } catch (error) {
    say(failureText(error))
    return exitStatus.failed
  }
}

function say(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'hotcakes recover: ')}\n`)
}

/** Repeated while a server or another recovery is at work on what it has to wait for. */
async function recoverWithin(config: Config, waitMs: number): Promise<Recovery> {
  const database = new AsyncPostgres(config.db, {
    applicationName: 'hotcakes recover',
    connectionsMax: 1,
    deadlineMs: rebuildMsMax,
  })
  const store = new SaleStore(config.redis, { shard: firstShard, name: 'hotcakes recover' })
  const deadlineMs = performance.now() + waitMs
  const { db, redis } = config
  const where = `Redis at ${hostAndPort(redis.host, redis.port)} and Postgres at ${hostAndPort(db.host, db.port)}`
  const late = setTimeout(() => say(`waiting for ${where}`), waitSayMs)
  try {
    await store.connect()
    for (let attempts = 1; ; attempts++) {
      // What was answered nobody here knows: a server that found it missing has fenced Redis off.
      const recovery = await recover({
        store,
        database,
        ttlSeconds: config.redis.ttlHours * 3_600,
        seen: undefined,
        say,
      })
      clearTimeout(late)
      if (recovery.kind !== 'undrained' && recovery.kind !== 'busy') return recovery
      if (attempts === 1) say(recovery.kind === 'busy' ? 'another recovery is at work' : undrained(recovery.entries))
      if (performance.now() > deadlineMs) return recovery
      await delay(logStateIntervalMs)
    }
  } finally {
    clearTimeout(late)
    store.close()
    await database.close()
  }
}

function undrained(entries: number): string {
  return `${entries} log entries in Redis are not in Postgres yet: a running server copies them`
}

/** @returns the exit status */
function sayResult(recovery: Recovery): number {
  switch (recovery.kind) {
    case 'rebuilt': {
      const { sales, sold, held, epoch, seconds } = recovery
      const what = `${sales.length} live sales with ${sold} items sold and ${held} held`
      say(`rebuilt ${what} in ${seconds.toFixed(1)} s. Redis decides again, in epoch ${epoch}`)
      return exitStatus.whole
    }
    case 'begun':
      say('both Redis and Postgres were empty: they are a new record now')
      return exitStatus.whole
    case 'unneeded':
      if (recovery.fault === undefined) {
        say('Redis has everything that is on record: nothing to do')
        return exitStatus.whole
      }
      say(`${recovery.fault.code}: ${recovery.fault.message}`)
      return exitStatus.refused
    case 'undrained':
      say(`${undrained(recovery.entries)}. Start one, or wait longer, and run this again`)
      return exitStatus.notYet
    case 'busy':
      return exitStatus.notYet
  }
}

// `npm run move-shard`: the assembly point. See command.ts for what it takes and answers.

import { setTimeout as delay } from 'node:timers/promises'

import { runCommand, UsageError, type Values } from '../../../core/command-line.mjs'
import { type Config, loadConfig } from '../../../core/config/load.ts'
import { Fault } from '../../../core/faults.ts'
import { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import { shardCountOf, shardsText } from '../../../core/postgres/log-offset.ts'
import { SaleStore } from '../../../core/redis/sale-store.ts'
import { shardNumbers } from '../../../core/shards.ts'
import { moveLockMsMax, movePollMs } from '../../limits.ts'
import { failureText } from '../failure-text.ts'
import { exitStatus, moveShardCommand } from './command.ts'
import { BrokenOff, Interruption } from './interruption.ts'
import { ShardMove } from './move.ts'
import { type MoveNodes, openNodes } from './nodes.ts'

const name = 'hotcakes move-shard'

// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(await runCommand(moveShardCommand, process.argv.slice(2), main))

async function main({ shard, to, waitSeconds }: Values<typeof moveShardCommand.options>): Promise<number> {
  if (shard === undefined) throw new UsageError('--shard is missing')
  if (to === undefined) throw new UsageError('--to is missing')
  try {
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    if (config.redis.cluster === '')
      throw new Fault('HC_REDIS_CLUSTER', 'REDIS_CLUSTER is not set: shards move between masters of a cluster')
    return await moveShard(config, { shard, to, waitSeconds })
  } catch (error) {
    if (error instanceof UsageError) throw error
    say(failureText(error))
    return exitStatus.refused
  }
}

interface MoveOptions {
  readonly shard: number
  readonly to: string
  readonly waitSeconds: number
}

/** @returns the exit status */
async function moveShard(config: Config, { shard, to, waitSeconds }: MoveOptions): Promise<number> {
  // One has the lock, one admits, and an admission takes two.
  const pool = { applicationName: name, connectionsMax: 4, deadlineMs: moveLockMsMax }
  const database = new AsyncPostgres(config.db, pool)
  let nodes: MoveNodes | undefined
  let move: ShardMove | undefined
  const interruption = new Interruption(() => {
    const isLate = move?.isUnderWay === true
    say(isLate ? 'keys have moved already: moving the rest. Again ends it at once' : 'breaking off')
  })
  try {
    const count = shardCountOf(await database.query<{ shard: number }>({ text: shardsText }))
    if (shard >= count) throw new UsageError(`--shard: there are the shards 0 to ${count - 1}`)
    nodes = await openNodes(config.redis, shard, to)
    const open = async () => await openStores(config, count, waitSeconds)
    move = new ShardMove({ config, database, nodes, shard, waitSeconds, say, interruption, open })
    await move.run()
    return exitStatus.moved
  } catch (error) {
    if (error instanceof UsageError) throw error
    if (!(error instanceof BrokenOff)) say(failureText(error))
    if (move?.isUnderWay !== true) return exitStatus.refused
    say(`shard ${shard} may be closed until this is run again: it goes on where it was`)
    return exitStatus.closed
  } finally {
    interruption.close()
    nodes?.close()
    await database.close()
  }
}

/** Right after a move a node may not have heard where the shard is. */
async function openStores(config: Config, count: number, waitSeconds: number): Promise<SaleStore[]> {
  const deadlineMs = performance.now() + waitSeconds * 1_000
  for (;;) {
    const stores = shardNumbers(count).map((shard) => new SaleStore(config.redis, { shard, name }))
    try {
      for (const store of stores) await store.connect()
      return stores
    } catch (error) {
      for (const store of stores) store.close()
      if (!(error instanceof Fault) || performance.now() > deadlineMs) throw error
      await delay(movePollMs)
    }
  }
}

function say(text: string): void {
  process.stderr.write(`${name}: ${text}\n`)
}

import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { firstShard } from '../../core/shards.ts'
import { processTree, signal } from '../helpers/processes.ts'
import { openRedis } from '../helpers/services.ts'
import type { Arena } from './arena.ts'
import type { FaultKind } from './fault-kind.ts'
import { Releases } from './releases.ts'

/**
 * Redis forgets. The server must notice, rebuild its state from Postgres and go on. What Postgres did not have by then may
 * be lost, unless it is a purchase that was acknowledged with APP_ACK=postgres.
 */
export const lossFaults = {
  empty_redis: {
    about: 'FLUSHALL under the running server',
    on: 'single',
    targets: ['redis', 'postgres'],
    inject: async (arena, random) => {
      const scope = new Releases()
      try {
        const redis = await openRedis(scope, arena.single.redis.admin)
        return `emptied Redis${await lose(arena, random, () => redis.flushall())}`
      } finally {
        await scope.release()
      }
    },
  },
  lose_redis_disk: {
    about: 'Redis dies and comes back with nothing',
    on: 'single',
    targets: ['redis', 'postgres'],
    inject: async (arena, random) => {
      const circumstances = await lose(arena, random, () => arena.single.redis.loseDisk())
      await delay(random.between(0, 800))
      await arena.single.redis.start()
      return `lost the disk of Redis${circumstances}`
    },
  },
  /**
   * The server's processes are left alone meanwhile: only they know that more was acknowledged than a copy holds which is
   * older than the log's end, but not older than Postgres.
   */
  old_redis_copy: {
    about: "Redis' data is what it was a while ago",
    on: 'single',
    targets: ['redis', 'primary', 'http', 'persister', 'postgres'],
    inject: async (arena, random) => {
      const [data, copy] = [join(arena.single.folder, 'redis'), join(arena.single.folder, 'redis.copy')]
      cpSync(data, copy, { recursive: true })
      const ms = random.between(200, 1_200)
      await delay(ms)
      const circumstances = await lose(arena, random, async () => {
        process.kill(arena.single.redis.pid(), 'SIGKILL')
        await arena.single.redis.stop()
        rmSync(data, { recursive: true })
      })
      renameSync(copy, data)
      await arena.single.redis.start()
      return `put a copy of Redis' data back that was ${ms} ms old${circumstances}`
    },
  },
} as const satisfies Record<string, FaultKind>

/** Often while Postgres hangs: then nothing that was acknowledged a moment ago has its row. Answers the circumstances. */
async function lose(arena: Arena, random: SeededRandom, action: () => Promise<unknown>): Promise<string> {
  const hangMs = random.chance(0.4) ? random.between(200, 1_200) : 0
  const pids = hangMs > 0 ? processTree(arena.services.postgres.pid()) : []
  try {
    await arena.loseData(firstShard, async () => {
      for (const pid of pids) signal(pid, 'SIGSTOP')
      await delay(hangMs)
      await action()
    })
    await delay(hangMs / 2)
  } finally {
    for (const pid of pids) signal(pid, 'SIGCONT')
  }
  return hangMs > 0 ? `, while Postgres hung for ${1.5 * hangMs} ms` : ''
}

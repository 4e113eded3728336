import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { openRedis } from '../helpers/services.ts'
import type { FaultKind } from './fault-kind.ts'
import { Releases } from './releases.ts'

/**
 * Redis forgets. The server must notice, rebuild its state from Postgres and go on. What Postgres did not have by then may
 * be lost, unless it is a purchase that was acknowledged with APP_ACK=postgres.
 *
 * The server's processes are left alone meanwhile: only they know that more was acknowledged than a copy holds that is
 * older than the end of the log, but not older than Postgres.
 */
const targets = ['redis', 'primary', 'http', 'persister', 'postgres'] as const

export const lossFaults = {
  empty_redis: {
    about: 'FLUSHALL under the running server',
    targets,
    inject: async (arena) => {
      const scope = new Releases()
      try {
        const redis = await openRedis(scope, arena.services.redis.admin)
        await arena.loseData(() => redis.flushall())
      } finally {
        await scope.release()
      }
      return 'emptied Redis'
    },
  },
  lose_redis_disk: {
    about: 'Redis dies and comes back with nothing',
    targets,
    inject: async (arena, random) => {
      await arena.loseData(() => arena.services.redis.loseDisk())
      await delay(random.between(0, 800))
      await arena.services.redis.start()
      return 'lost the disk of Redis'
    },
  },
  /** The log is read back from what it was a while ago. */
  old_redis_copy: {
    about: "Redis' data is what it was a while ago",
    targets,
    inject: async (arena, random) => {
      const [data, copy] = [join(arena.services.redisFolder, 'redis'), join(arena.services.redisFolder, 'redis.copy')]
      cpSync(data, copy, { recursive: true })
      const ms = random.between(200, 1_200)
      await delay(ms)
      await arena.loseData(async () => {
        process.kill(arena.services.redis.pid(), 'SIGKILL')
        await arena.services.redis.stop()
        rmSync(data, { recursive: true })
      })
      renameSync(copy, data)
      await arena.services.redis.start()
      return `put a copy of Redis' data back that was ${ms} ms old`
    },
  },
} as const satisfies Record<string, FaultKind>

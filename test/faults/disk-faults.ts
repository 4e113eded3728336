import { setTimeout as delay } from 'node:timers/promises'

import type { FaultKind } from './fault-kind.ts'
import { mountObstacle } from './small-disk.ts'

/** A disk is full for a while; whoever died of it is started again. */
export const diskFaults = {
  fill_redis_disk: {
    about: 'the disk under Redis is full, which it dies of',
    on: 'single',
    targets: ['redis'],
    obstacle: () => mountObstacle,
    inject: async (arena, random) => {
      const ms = random.between(100, 1_500)
      arena.single.disk?.fill()
      await delay(ms)
      arena.single.disk?.free()
      return `filled the disk of Redis for ${ms} ms, which ${await arena.reviveRedis()}`
    },
  },
  fill_postgres_disk: {
    about: 'the disk under Postgres is full',
    targets: ['postgres'],
    obstacle: () => mountObstacle,
    inject: async (arena, random) => {
      const ms = random.between(500, 2_500)
      arena.services.postgresDisk?.fill()
      await delay(ms)
      arena.services.postgresDisk?.free()
      return `filled the disk of Postgres for ${ms} ms, which ${await arena.revivePostgres()}`
    },
  },
} as const satisfies Record<string, FaultKind>

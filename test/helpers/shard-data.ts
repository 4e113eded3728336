import type { Redis } from 'ioredis'

import { shardKeys } from '../../core/redis/keys.ts'

/** What a shard holds at a moment: what a replica has that is behind, or an old copy. */
export type ShardData = readonly { readonly key: string; readonly dump: Buffer; readonly expiresAtMs: number }[]

/** @param admin may do everything */
export async function saveShard(admin: Redis, shard: number): Promise<ShardData> {
  const keys = await admin.keys(`${escaped(shardKeys(shard).prefix)}*`)
  return await Promise.all(
    keys.map(async (key) => {
      const [dump, expiresAtMs] = await Promise.all([admin.dumpBuffer(key), admin.pexpiretime(key)])
      return { key, dump, expiresAtMs: Math.max(expiresAtMs, 0) }
    }),
  )
}

/** The shard has lost everything. */
export async function dropShard(admin: Redis, shard: number): Promise<void> {
  const keys = await admin.keys(`${escaped(shardKeys(shard).prefix)}*`)
  if (keys.length > 0) await admin.del(...keys)
}

/**
 * The shard is back with what it had then, in another run of Redis: the one that it was admitted with is none that there is.
 */
export async function restoreShard(admin: Redis, shard: number, data: ShardData): Promise<void> {
  await dropShard(admin, shard)
  for (const { key, dump, expiresAtMs } of data) await admin.restore(key, expiresAtMs, dump, 'ABSTTL')
  await forgetRun(admin, shard)
}

/** As a restart leaves it, for this shard alone. */
export async function forgetRun(admin: Redis, shard: number): Promise<void> {
  await admin.hset(shardKeys(shard).sales, 'run', 'of a process that is gone')
}

function escaped(prefix: string): string {
  return prefix.replaceAll(/[{}[\]*?]/g, String.raw`\$&`)
}

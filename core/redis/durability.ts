import type { Redis } from 'ioredis'
import { Fault } from '../faults.ts'
import { redisMajorVersionMin } from '../limits.ts'
import { redisFault } from './connection.ts'
import { readInfo } from './info.ts'

/** What of Redis' set-up could lose data that it acknowledged, as sentences; empty when nothing could. */
export interface Durability {
  /** Data can vanish without a word: eviction, or no append-only file. */
  readonly unsuitable: readonly string[]
  /** A crash of the machine can lose the last moments. */
  readonly weak: readonly string[]
}

/** @throws Fault HC_REDIS_UNSUITABLE when Redis is too old for functions; HC_REDIS_UNAVAILABLE */
export async function inspectDurability(redis: Redis): Promise<Durability> {
  const info = await readInfo(redis)
  const version = info.get('redis_version') ?? '0'
  if (Number.parseInt(version, 10) < redisMajorVersionMin) {
    throw new Fault(
      'HC_REDIS_UNSUITABLE',
      `Redis ${version} has no functions; ${redisMajorVersionMin}.0 or later is needed`,
    )
  }
  const unsuitable: string[] = []
  const policy = info.get('maxmemory_policy')
  if (policy !== 'noeviction') unsuitable.push(`maxmemory-policy is ${policy}, so keys may be evicted: set noeviction`)
  if (info.get('aof_enabled') !== '1')
    unsuitable.push('appendonly is off, so a restart forgets sales: set appendonly yes')

  const fsync = await fsyncPolicy(redis)
  const weak =
    fsync === 'always' ? [] : [`appendfsync is ${fsync}, so a machine's crash can lose its last moments: set always`]
  return { unsuitable, weak }
}

/** Managed services often refuse CONFIG: then the policy is not known, which is reported like a weak one. */
async function fsyncPolicy(redis: Redis): Promise<string> {
  try {
    const reply = (await redis.call('CONFIG', 'GET', 'appendfsync')) as string[]
    return reply[1] ?? 'unknown'
  } catch (error) {
    const fault = redisFault(error)
    if (fault.code === 'HC_REDIS_REFUSED') return 'unknown'
    throw fault
  }
}

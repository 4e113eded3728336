import type { Redis } from 'ioredis'
import { redisFault } from './connection.ts'

/** The fields of Redis' INFO, of one section or of the usual ones. @throws Fault */
export async function readInfo(redis: Redis, section?: string): Promise<ReadonlyMap<string, string>> {
  try {
    return infoFields(await (section === undefined ? redis.info() : redis.info(section)))
  } catch (error) {
    throw redisFault(error)
  }
}

/**
 * How much of the memory that Redis may use is used, from 0 to about 1; 0 when it may use all there is, or does not tell
 * (managed services often refuse INFO). @throws Fault HC_REDIS_UNAVAILABLE
 */
export async function readMemoryShare(redis: Redis): Promise<number> {
  try {
    const info = await readInfo(redis, 'memory')
    const [max, used, uncounted] = ['maxmemory', 'used_memory', 'mem_not_counted_for_evict'].map((name) =>
      Number(info.get(name) ?? 0),
    ) as [number, number, number]
    return max > 0 ? (used - uncounted) / max : 0
  } catch (error) {
    const fault = redisFault(error)
    if (fault.code === 'HC_REDIS_REFUSED') return 0
    throw fault
  }
}

/** The lines `name:value` of INFO and of CLUSTER INFO. */
export function infoFields(info: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

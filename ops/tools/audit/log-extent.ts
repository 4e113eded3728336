import { Fault } from '../../../core/faults.ts'
import { type LogPosition, parseLogPosition } from '../../../core/log-position.ts'
import { type RedisConnection, redisFault } from '../../../core/redis/connection.ts'
import type { ShardKeys } from '../../../core/redis/keys.ts'

/** A moment of the log: where it begins and ends, and what had been decided by then that no sale counts. */
export interface LogExtent {
  /** Position of the oldest entry; undefined when all were trimmed. */
  readonly first: LogPosition | undefined
  /** Position of the newest entry ever written. */
  readonly last: LogPosition
  readonly entries: number
  /** Outcome code -> count of the commands that named no listed sale. */
  readonly unlistedCounts: ReadonlyMap<number, number>
}

type StreamInfo = Record<string, unknown>
type Reply = [error: Error | null, result: unknown]

/** One transaction of Redis, so that the counts are those of exactly the entries up to `last`. @throws Fault */
export async function readLogExtent(redis: RedisConnection, keys: ShardKeys): Promise<LogExtent> {
  const replies = await redis
    .multi()
    .hgetall(keys.countsUnlisted)
    .exists(keys.log)
    .call('XINFO', 'STREAM', keys.log)
    .exec()
    .catch((error: unknown) => {
      throw redisFault(error)
    })
  const [counts, exists, info] = (replies ?? []) as Reply[]
  if (counts?.[0] || exists?.[0] || info === undefined) throw redisFault(counts?.[0] ?? exists?.[0] ?? 'no reply')
  const unlistedCounts = new Map(
    Object.entries(counts?.[1] as Record<string, string>).map(([code, count]) => [Number(code), Number(count)]),
  )
  // Before the first epoch is claimed there is no stream, and XINFO then is an error.
  if (exists?.[1] === 0) return { first: undefined, last: { epoch: 0, seq: 0 }, entries: 0, unlistedCounts }
  if (info[0]) throw redisFault(info[0])
  return { ...streamExtent(info[1] as unknown[]), unlistedCounts }
}

function streamExtent(flat: readonly unknown[]): Omit<LogExtent, 'unlistedCounts'> {
  const info: StreamInfo = {}
  for (let at = 0; at + 1 < flat.length; at += 2) info[String(flat[at])] = flat[at + 1]
  const lastId = info['last-generated-id']
  const firstEntry = info['first-entry'] as [id: string] | null
  if (typeof lastId !== 'string') throw new Fault('HC_REDIS_REFUSED', 'XINFO names no last-generated-id of the log')
  return {
    first: firstEntry === null ? undefined : parseLogPosition(firstEntry[0]),
    last: parseLogPosition(lastId),
    entries: Number(info['length']),
  }
}

import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import { shardKeys } from '../../core/redis/keys.ts'
import { libraryName } from '../../core/redis/library-source.ts'
import { firstShard } from '../../core/shards.ts'

const stepField = 'step-ms'
const standsField = 'stands-at-ms'
const line = /^ {2}return time\[1\] \* 1000 \+ floor\(time\[2\] \/ 1000\)$/m

export interface RedisClockSteps {
  /** From here on Redis' clock is so much ahead of the machine's; a negative number puts it behind. */
  set(aheadMs: number): Promise<void>
  /** From here on it stands still at that moment, in ms since the epoch. */
  stand(atMs: number): Promise<void>
}

/**
 * Lets a test set the clock by which a real Redis decides, while the one of the machine goes on: nothing that fakes the
 * time of a process does so to Redis. The functions that Redis has loaded are loaded again, with more in the line that
 * reads the time. It is kept in a key, so a database that is emptied has the machine's time again.
 * @param admin of a Redis whose functions were loaded
 */
export async function stepRedisClock(admin: Redis): Promise<RedisClockSteps> {
  const key = `${shardKeys(firstShard).prefix}clock-of-a-test`
  const [library] = (await admin.call('FUNCTION', 'LIST', 'LIBRARYNAME', libraryName, 'WITHCODE')) as unknown[][]
  const code = String(library?.[library.indexOf('library_code') + 1])
  if (!code.includes(key)) {
    const stepped = code.replace(line, (reads) => {
      const time = `(call('HGET', '${key}', '${standsField}') or ${reads.replace('return', '')})`
      return `  return ${time} + (call('HGET', '${key}', '${stepField}') or 0)`
    })
    assert.ok(stepped !== code, 'the functions read the time elsewhere')
    await admin.call('FUNCTION', 'LOAD', 'REPLACE', stepped)
  }
  const set = async (aheadMs: number): Promise<void> => {
    await admin.hset(key, stepField, aheadMs)
  }
  const stand = async (atMs: number): Promise<void> => {
    await admin.hset(key, standsField, atMs)
  }
  await set(0)
  return { set, stand }
}

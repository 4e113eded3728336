import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { redisFault } from './connection.ts'
import type { ShardKeys } from './keys.ts'

const source = readFileSync(new URL('./hotcakes.lua', import.meta.url), 'utf8')
const digest = createHash('sha256').update(source).digest('hex').slice(0, 12)

/** Carries the digest of the source: a new version is another library, and both can serve during an upgrade. */
export const libraryName = `hotcakes_${digest}`

const librarySource = source.replaceAll('@LIBRARY@', libraryName)

type FunctionName =
  | 'decide'
  | 'open'
  | 'claim_epoch'
  | 'admit'
  | 'fence'
  | 'rebuild_begin'
  | 'rebuild_sale'
  | 'rebuild_put'
  | 'rebuild_end'
  | 'sale_state'
  | 'watch'
  | 'log_state'
  | 'item_records'
  | 'sale_counts'
  | 'audit_sale'

/** The name under which Redis knows one of the functions that hotcakes.lua documents. */
export function functionName(name: FunctionName): string {
  return `${libraryName}_${name}`
}

/** Loads the functions; does nothing if they are there. @throws Fault */
export async function loadLibrary(redis: Redis): Promise<void> {
  try {
    await redis.call('FUNCTION', 'LOAD', librarySource)
  } catch (error) {
    if (error instanceof Error && error.message.includes('already exists')) return
    throw redisFault(error)
  }
}

/** Calls a function by its full name; loads the functions if Redis has lost them. @throws Fault */
export async function callFunction(
  redis: Redis,
  keys: ShardKeys,
  name: string,
  args: readonly (string | number | Buffer)[],
): Promise<unknown> {
  try {
    return await redis.callBuffer('FCALL', name, 2, keys.sales, keys.log, ...args)
  } catch (error) {
    if (isFunctionMissing(error)) {
      await loadLibrary(redis)
      return await redis.callBuffer('FCALL', name, 2, keys.sales, keys.log, ...args).catch((again: unknown) => {
        throw redisFault(again)
      })
    }
    const fault = redisFault(error)
    // A reply that is overdue may mean a connection that is dead without a word. A new one is told at once. And a
    // replica takes no writes: a new connection may lead to the one that was promoted in its place.
    if (fault.message === 'Command timed out' || fault.message.startsWith('READONLY')) redis.disconnect(true)
    throw fault
  }
}

/** Redis lost its functions (it was emptied, or a replica of an older state took over). The call had no effect. */
function isFunctionMissing(error: unknown): boolean {
  return error instanceof Error && error.message.includes('Function not found')
}

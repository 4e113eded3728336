import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { redisFault } from './connection.ts'

const source = readFileSync(new URL('./hotcakes.lua', import.meta.url), 'utf8')
const digest = createHash('sha256').update(source).digest('hex').slice(0, 12)

/** Carries the digest of the source: a new version is another library, and both can serve during an upgrade. */
export const libraryName = `hotcakes_${digest}`

const librarySource = source.replaceAll('@LIBRARY@', libraryName)

/** The name under which Redis knows one of the functions that hotcakes.lua documents. */
export function functionName(
  name:
    | 'decide'
    | 'open'
    | 'claim_epoch'
    | 'sale_state'
    | 'watch'
    | 'log_state'
    | 'item_records'
    | 'sale_counts'
    | 'audit_sale',
): string {
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

/** Redis lost its functions (it was emptied, or a replica of an older state took over). The call had no effect. */
export function isFunctionMissing(error: unknown): boolean {
  return error instanceof Error && error.message.includes('Function not found')
}

import type { Redis } from 'ioredis'
import { Fault } from '../faults.ts'
import { redisFault } from './connection.ts'
import type { DirectCalls } from './direct-calls.ts'
import type { ShardKeys } from './keys.ts'
import { libraryName, librarySource, withLinesOfFiles } from './library-source.ts'

const writingNames = [
  'decide',
  'mark',
  'open',
  'claim_epoch',
  'admit',
  'fence',
  'rebuild_begin',
  'rebuild_sale',
  'rebuild_put',
  'rebuild_end',
  'keep',
  'accept_from',
  'rights_restore',
  'relist',
  'rights_short',
  'rights_give',
  'rights_cut',
  'sale_state',
  'watch',
] as const

/** Registered with no-writes: whoever may only read may call these. */
const readOnlyNames = [
  'missing_rights',
  'log_state',
  'item_entries',
  'sale_counts',
  'audit_sale',
  'rights_with',
  'rights_lacking',
] as const

/** All functions. The headers of the Lua files document them. */
export const functionNames = { writing: writingNames, readOnly: readOnlyNames } as const

type FunctionName = (typeof writingNames | typeof readOnlyNames)[number]

/** The name under which Redis knows a function. */
export function functionName(name: FunctionName): string {
  return `${libraryName}_${name}`
}

const readOnly: ReadonlySet<string> = new Set(readOnlyNames.map(functionName))

/** Loads the functions; does nothing if they are there. @throws Fault */
export async function loadLibrary(redis: Redis): Promise<void> {
  try {
    await redis.call('FUNCTION', 'LOAD', librarySource)
  } catch (error) {
    if (error instanceof Error && error.message.includes('already exists')) return
    throw functionFault(error)
  }
}

export interface FunctionCall {
  /** The full one: see functionName. */
  readonly name: string
  readonly args: readonly (string | number | Buffer)[]
  /** Those whose keys it may touch. */
  readonly sales?: readonly number[]
  /** Of the same connection: the call goes past ioredis' commands. */
  readonly direct?: DirectCalls
}

/** Calls a function; loads all of them if Redis has lost them. @throws Fault */
export async function callFunction(
  redis: Redis,
  keys: ShardKeys,
  { name, args, sales = [], direct }: FunctionCall,
): Promise<unknown> {
  const command = readOnly.has(name) ? 'FCALL_RO' : 'FCALL'
  const declared = keys.declared(sales)
  const parts = [name, declared.length, ...declared, ...args] as const
  const send = (): Promise<unknown> =>
    direct === undefined ? redis.callBuffer(command, ...parts) : direct.call([command, ...parts])
  try {
    return await send()
  } catch (error) {
    if (isFunctionMissing(error)) {
      await loadLibrary(redis)
      return await send().catch((again: unknown) => {
        throw functionFault(again)
      })
    }
    const fault = functionFault(error)
    // A reply that is overdue may mean a connection that is dead without a word. A new one is told at once.
    if (fault.message === 'Command timed out') redis.disconnect(true)
    throw fault
  }
}

/**
 * A function that lacks a right fails where it needs it, after what it has written before: so all rights are there, or
 * none of the functions is used.
 * @throws Fault HC_REDIS_REFUSED
 */
export async function assertRights(redis: Redis, keys: ShardKeys): Promise<void> {
  const missing = (await callFunction(redis, keys, { name: functionName('missing_rights'), args: [] })) as Buffer[]
  if (missing.length === 0) return
  throw new Fault('HC_REDIS_REFUSED', `Redis' user lacks the right to ${missing.join(', ')}: see docs/ACCESS.md`)
}

/** An error inside a function leads to its line in the Lua files. */
export function functionFault(error: unknown): Fault {
  const { code, message } = redisFault(error)
  return new Fault(code, withLinesOfFiles(message))
}

/** Redis lost its functions (it was emptied, or a replica of an older state took over). The call had no effect. */
export function isFunctionMissing(error: unknown): boolean {
  return error instanceof Error && error.message.includes('Function not found')
}

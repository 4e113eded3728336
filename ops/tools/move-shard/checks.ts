import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../../core/faults.ts'
import { slotOfShard } from '../../../core/redis/cluster-slot.ts'
import { shardKeys } from '../../../core/redis/keys.ts'
import type { Member } from '../../cluster/member.ts'
import {
  clusterFormingMsMax,
  clusterFormingPollMs,
  moveBytesPerSecondMin,
  moveKeysPerList,
  moveMemoryShareMax,
} from '../../limits.ts'
import type { MoveNodes } from './nodes.ts'

export interface CheckOptions {
  readonly nodes: MoveNodes
  readonly shard: number
  /** REDIS_REQUIRE_DURABLE. */
  readonly requireDurable: boolean
  readonly say: (text: string) => void
}

/** What a shard takes along. */
export interface Load {
  readonly keys: number
  readonly bytes: number
  /** Of the largest key: it moves in one piece. */
  readonly keyBytesMax: number
}

/**
 * Whether the shard can be moved there, before anybody is kept from buying.
 * @throws Fault HC_REDIS_CLUSTER, HC_REDIS_UNSUITABLE or HC_REDIS_REFUSED, which says what to do
 */
export async function assertMovable(options: CheckOptions): Promise<Load> {
  const { nodes, shard } = options
  const { from, to } = nodes
  await assertMaster(options)
  const [old, next] = [await from.info(), await to.info()]
  assertVersion(to, old, next)
  assertDurable(to, next, options.requireDurable)
  await assertUsers(from, to)
  await assertMayMove(from, to, shard)
  await assertWell(to)
  const load = await loadOf(from, shard)
  assertMemory(to, next, load)
  await warnOfLongKey(options, load)
  return load
}

/** The target is a master of this cluster, or becomes one. */
async function assertMaster({ nodes, say }: CheckOptions): Promise<void> {
  const { from, to, masters } = nodes
  if (from.knows(to) !== 'not') return
  if (!to.isNew) throw new Fault('HC_REDIS_CLUSTER', `${to.name} is a node of another cluster`)
  const keys = Number(await to.run('DBSIZE'))
  if (keys > 0) throw new Fault('HC_REDIS_CLUSTER', `${to.name} is in no cluster and has ${keys} keys: start it empty`)
  say(`introducing ${to.name} to the cluster`)
  await from.meet(to)
  await until(async () => {
    for (const member of [to, ...masters]) {
      await member.look()
      for (const other of [to, ...masters]) {
        if (member !== other && member.knows(other) !== 'well') return `${member.name} doesn't know ${other.name} yet`
      }
    }
    return undefined
  })
}

function assertVersion(to: Member, old: ReadonlyMap<string, string>, next: ReadonlyMap<string, string>): void {
  for (const field of ['redis_version', 'valkey_version']) {
    const [before, after] = [old.get(field), next.get(field)]
    if (before === undefined || (after !== undefined && compareVersions(after, before) >= 0)) continue
    const what = `${to.name} is older (${field} ${after ?? 'none'}, after ${before}), and may not read what it would get`
    throw new Fault('HC_REDIS_CLUSTER', `${what}: bring it to the version of the others`)
  }
}

export function compareVersions(one: string, other: string): number {
  const [left, right] = [one, other].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0))
  for (let at = 0; at < 3; at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** What a server would refuse it for, after the move. */
function assertDurable(to: Member, info: ReadonlyMap<string, string>, requireDurable: boolean): void {
  const policy = info.get('maxmemory_policy')
  const problems = [
    ...(policy === 'noeviction' ? [] : [`maxmemory-policy is ${policy}: set noeviction`]),
    ...(info.get('aof_enabled') === '1' ? [] : ['appendonly is off: set appendonly yes']),
  ]
  if (problems.length > 0 && requireDurable)
    throw new Fault('HC_REDIS_UNSUITABLE', `${to.name} may lose what it acknowledges: ${problems.join('; ')}`)
}

/** Each node has users of its own, and a server that may not log in there would leave the shard closed. */
async function assertUsers(from: Member, to: Member): Promise<void> {
  const [old, next] = [await usersOf(from), await usersOf(to)]
  const missing = old?.filter((user) => next?.includes(user) === false) ?? []
  if (missing.length === 0) return
  const what = `${to.name} doesn't have the users ${missing.join(', ')} of ${from.name}`
  throw new Fault('HC_REDIS_CLUSTER', `${what}: each node of a cluster has its own, see docs/ACCESS.md`)
}

/** undefined: it may not be asked. */
async function usersOf(member: Member): Promise<string[] | undefined> {
  try {
    return (await member.run('ACL', 'USERS')) as string[]
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
}

/** The commands of a move, with nothing to do for them. Rights are looked at before anything else. */
async function assertMayMove(from: Member, to: Member, shard: number): Promise<void> {
  const slot = slotOfShard(shard)
  const nothing = `${shardKeys(shard).prefix}nothing`
  const { host, port } = from.addressOf(to)
  const tries = [
    [from, 'MIGRATE', host, port, '', 0, 1, 'KEYS', nothing],
    [from, 'CLUSTER', 'GETKEYSINSLOT', slot, 1],
    [from, 'CLUSTER', 'SETSLOT', slot, 'STABLE'],
    [from, 'MEMORY', 'USAGE', nothing],
    [to, 'CLUSTER', 'SETSLOT', slot, 'STABLE'],
    [to, 'RESTORE-ASKING', nothing, 0, ''],
    [to, 'SELECT', 0],
    [to, 'ASKING'],
    [to, 'UNLINK', nothing],
  ] as const
  for (const [member, command, ...args] of tries) {
    try {
      await member.run(command, ...args)
    } catch (error) {
      if (isForbidden(error)) {
        const what = `the user may not ${command} at ${member.name}`
        throw new Fault('HC_REDIS_REFUSED', `${what}: take an administrator, or hotcakes_move of docs/ACCESS.md`)
      }
      // Refused for another reason, it may be asked.
      if (!(error instanceof Fault)) throw error
    }
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof Fault && error.message.includes('NOPERM')
}

/** A node takes writes only some seconds after its start or its introduction. @throws Fault HC_REDIS_CLUSTER */
export async function assertWell(to: Member): Promise<void> {
  await until(async () => {
    const state = (await to.state()).get('cluster_state')
    return state === 'ok' ? undefined : `${to.name} is in the state ${state}`
  })
}

async function loadOf(from: Member, shard: number): Promise<Load> {
  const slot = slotOfShard(shard)
  const keys = Number(await from.call('COUNTKEYSINSLOT', slot))
  let [bytes, keyBytesMax] = [0, 0]
  for (const key of (await from.call('GETKEYSINSLOT', slot, moveKeysPerList)) as string[]) {
    const keyBytes = Number(await from.run('MEMORY', 'USAGE', key))
    bytes += keyBytes
    keyBytesMax = Math.max(keyBytesMax, keyBytes)
  }
  return { keys, bytes, keyBytesMax }
}

function assertMemory(to: Member, info: ReadonlyMap<string, string>, { bytes }: Load): void {
  const [max = 0, used = 0] = ['maxmemory', 'used_memory'].map((name) => Number(info.get(name) ?? 0))
  if (max === 0 || used + bytes < moveMemoryShareMax * max) return
  const what = `${to.name} has ${megabytes(Math.max(0, max - used))} MB free, and the shard takes some ${megabytes(bytes)}`
  throw new Fault('HC_REDIS_CLUSTER', `${what}: nobody sells above nine tenths of maxmemory. Raise it there`)
}

/** Busy for longer, a master counts as away, and its replica takes over in the middle of the move. */
async function warnOfLongKey({ nodes, say }: CheckOptions, { keyBytesMax }: Load): Promise<void> {
  const seconds = keyBytesMax / moveBytesPerSecondMin
  for (const member of [nodes.from, nodes.to]) {
    const timeoutMs = await nodeTimeoutMs(member)
    if (seconds * 1_000 < timeoutMs) continue
    const what = `the largest key has ${megabytes(keyBytesMax)} MB, and a busy machine may take ${Math.ceil(seconds)} s for it`
    const advice = 'raise that at all nodes for the time of the move, or move the shard while its sale is small'
    say(`warning: ${what}, above the cluster-node-timeout of ${member.name} (${timeoutMs} ms): ${advice}`)
  }
}

/** Infinity where it may not be asked: then there is nothing to say. */
async function nodeTimeoutMs(member: Member): Promise<number> {
  try {
    const [, value] = (await member.run('CONFIG', 'GET', 'cluster-node-timeout')) as string[]
    return Number(value)
  } catch (error) {
    if (isForbidden(error)) return Number.POSITIVE_INFINITY
    throw error
  }
}

export function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1)
}

async function until(look: () => Promise<string | undefined>): Promise<void> {
  const deadlineMs = performance.now() + clusterFormingMsMax
  for (;;) {
    const missing = await look()
    if (missing === undefined) return
    if (performance.now() > deadlineMs)
      throw new Fault('HC_REDIS_CLUSTER', `the cluster takes in no node after ${clusterFormingMsMax} ms: ${missing}`)
    await delay(clusterFormingPollMs)
  }
}

import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../core/faults.ts'
import { clusterSlots, slotOfShard } from '../../core/redis/cluster-slot.ts'
import { ownerOf } from '../../core/redis/cluster-view.ts'
import type { RedisSettings } from '../../core/redis/connection.ts'
import { shardNumbers } from '../../core/shards.ts'
import type { Waiting } from '../embedded/waiting.ts'
import { clusterFormingMsMax, clusterFormingPollMs, clusterFormingSayMs, clusterRetryDelayMs } from '../limits.ts'
import { type ClusterPlace, Member } from './member.ts'
import { attachReplicas, type Roles, rolesOf } from './roles.ts'
import { giveSlots, slotOwners, spreadShards } from './slots.ts'

export interface FormingPlan {
  /** Masters first, as far as it is not decided yet who is one. */
  readonly places: readonly ClusterPlace[]
  /** Of a user who may do the commands of ops/deploy/redis/cluster-users.acl, on each of them. */
  readonly account: RedisSettings
  /** Of each master. */
  readonly replicas: number
  /** Those that the server may have now: more than that keep what they have. */
  readonly shards: number
  /** What to do where the cluster knows a node with slots that is not among the places. */
  readonly lostAdvice: string
  readonly waiting: Waiting
}

export interface Formed {
  /** In sentences; none: it was such a cluster already. */
  readonly done: readonly string[]
  readonly masters: number
  /** By shard the name of its master. */
  readonly shardPlaces: readonly string[]
}

/**
 * Makes one cluster of nodes: that they know each other where they are now, that every slot has an owner, a shard's the
 * master of its number (modulo their count), and that each master has its replicas. What has an owner keeps it, unless it is
 * the slot of a shard that nobody has used, on a master that has too many. It may be repeated at any time.
 * @throws Fault HC_REDIS_CLUSTER when they don't become one in time, or a part of what they were is missing;
 *   HC_REDIS_REFUSED; HC_REDIS_UNAVAILABLE
 */
export async function formCluster(plan: FormingPlan): Promise<Formed> {
  const { places, account, shards, waiting } = plan
  const members: Member[] = []
  const done = new Set<string>()
  try {
    for (const place of places) members.push(await Member.open(place, account))
    assertComplete(members, plan.lostAdvice)
    assertReachable(members)
    const roles = rolesOf(members, plan.replicas)
    if (members.every(({ isNew }) => isNew)) {
      // Without this they would find numbers by themselves, one conflict after the other.
      for (const [at, member] of members.entries()) await member.call('SET-CONFIG-EPOCH', at + 1)
    }
    await until(waiting, () => introduce(members, done))
    for (const each of await giveSlots(members, roles.masters)) done.add(each)
    await lookAtAll(members)
    for (const each of await spreadShards(members, roles.masters, shards)) done.add(each)
    await until(waiting, () => attachReplicas(roles, done))
    await until(waiting, () => disagreement(members, roles, shards))
    const owners = slotOwners(members)
    return {
      done: [...done],
      masters: roles.masters.length,
      shardPlaces: shardNumbers(shards).map((shard) => owners[slotOfShard(shard)]?.name ?? ''),
    }
  } catch (error) {
    waiting.signal.throwIfAborted()
    throw error
  } finally {
    for (const member of members) member.close()
  }
}

/** As `formCluster`, repeated for so long while a node can't be reached: what was done already is not done twice. */
export async function formWithin(plan: FormingPlan, waitMs: number): Promise<Formed> {
  const { say, signal } = plan.waiting
  const deadlineMs = performance.now() + waitMs
  for (let attempts = 1; ; attempts++) {
    try {
      return await formCluster(plan)
    } catch (error) {
      const isAway = error instanceof Fault && error.code === 'HC_REDIS_UNAVAILABLE'
      if (!isAway || performance.now() > deadlineMs) throw error
      if (attempts === 1) say(`waiting for ${error.message}`)
      await delay(clusterRetryDelayMs, undefined, { signal })
    }
  }
}

/** A node that lost its data would begin anew, and the others have its keys deleted wherever they come back. */
function assertComplete(members: readonly Member[], advice: string): void {
  const ids = new Set(members.map(({ id }) => id))
  const lost = members.flatMap(({ view }) => view.nodes).find(({ id, slots }) => !ids.has(id) && slots.length > 0)
  if (lost !== undefined)
    throw new Fault('HC_REDIS_CLUSTER', `the cluster lacks the data of one of its nodes (${lost.id}): ${advice}`)
}

function isLocal({ ip }: Member): boolean {
  return ip === '::1' || ip.startsWith('127.')
}

/** A loopback address means another machine to each that is told it. */
function assertReachable(members: readonly Member[]): void {
  const local = members.find(isLocal)
  if (local === undefined || members.every(isLocal)) return
  const what = `${local.name} is at ${local.ip}, where the nodes on other machines can't reach it`
  throw new Fault('HC_REDIS_CLUSTER', `${what}: name the address that they know`)
}

async function lookAtAll(members: readonly Member[]): Promise<void> {
  for (const member of members) await member.look()
}

/** @returns what is missing; undefined: nothing */
async function introduce(members: readonly Member[], done: Set<string>): Promise<string | undefined> {
  let missing: string | undefined
  for (const member of members) {
    await member.look()
    for (const other of members) {
      const how = member === other ? 'well' : member.knows(other)
      if (how === 'well') continue
      missing ??= `${member.name} knows ${other.name} ${how}`
      // Also where it is not connected: of a node with another address than it had, nobody else may know.
      await member.meet(other)
      if (how === 'not') done.add(`${other.name} was introduced to the others`)
    }
  }
  return missing
}

/** @returns what one of them has not heard yet; undefined: they agree, and the masters take writes */
async function disagreement(
  members: readonly Member[],
  { replicas }: Roles,
  shards: number,
): Promise<string | undefined> {
  await lookAtAll(members)
  const owners = slotOwners(members)
  for (const member of members) {
    const unknown = shardNumbers(shards).find((shard) => {
      const slot = slotOfShard(shard)
      return ownerOf(slot, [member.view])?.node.id !== owners[slot]?.id
    })
    if (unknown !== undefined) return `${member.name} doesn't know where shard ${unknown} is`
    for (const [replica, master] of replicas) {
      const known = member.view.nodes.find(({ id }) => id === replica.id)
      if (known?.masterId !== master.id) return `${member.name} doesn't know ${replica.name} as a replica`
    }
    const info = await member.state()
    const [state, slots] = [info.get('cluster_state'), Number(info.get('cluster_slots_assigned'))]
    if (state !== 'ok' || slots !== clusterSlots) return `${member.name} is in the state ${state}, with ${slots} slots`
  }
  return undefined
}

/** Repeats a look until nothing is missing. @throws Fault HC_REDIS_CLUSTER */
async function until({ say, signal }: Waiting, look: () => Promise<string | undefined>): Promise<void> {
  const beganMs = performance.now()
  for (let isSaid = false; ; ) {
    const missing = await look()
    if (missing === undefined) return
    const waitedMs = performance.now() - beganMs
    if (waitedMs > clusterFormingMsMax)
      throw new Fault('HC_REDIS_CLUSTER', `the nodes are no cluster after ${clusterFormingMsMax} ms: ${missing}`)
    if (!isSaid && waitedMs > clusterFormingSayMs) say(`waiting for the nodes to be a cluster: ${missing}`)
    isSaid ||= waitedMs > clusterFormingSayMs
    await delay(clusterFormingPollMs, undefined, { signal })
  }
}

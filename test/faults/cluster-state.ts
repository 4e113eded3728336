import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { slotOfShard } from '../../core/redis/cluster-slot.ts'
import type { RedisConnection } from '../../core/redis/connection.ts'
import { shardNumbers } from '../../core/shards.ts'
import { eventually } from '../helpers/eventually.ts'
import type { ClusterProcess } from '../helpers/redis-cluster.ts'
import type { Arena } from './arena.ts'

/** A shard's master with its replica, and all shards that it has. */
export async function pick(arena: Arena, random: SeededRandom) {
  const master = await arena.nodes.masterOf(random.below(arena.shards))
  const replica = await eventually(() => replicaOf(arena, master), { what: `a replica of node ${master.number}` })
  return { master, replica, shards: await shardsOn(arena, master) }
}

export async function shardsOn(arena: Arena, node: ClusterProcess): Promise<number[]> {
  const masters = await Promise.all(shardNumbers(arena.shards).map((shard) => arena.nodes.masterOf(shard)))
  return shardNumbers(arena.shards).filter((shard) => masters[shard]?.id === node.id)
}

async function replicaOf(arena: Arena, master: ClusterProcess): Promise<ClusterProcess | undefined> {
  for (const node of arena.nodes.nodes) {
    const info = await infoOf(arena, node)
    if (info.includes('role:slave') && info.includes(`master_port:${master.front}\r`)) return node
  }
  return undefined
}

/** The node itself, or who has taken over from it. */
export async function inPlaceOf(arena: Arena, node: ClusterProcess): Promise<ClusterProcess> {
  const info = await infoOf(arena, node)
  const [, port] = /role:slave[^]*master_port:(\d+)/.exec(info) ?? []
  return arena.nodes.nodes.find(({ front }) => front === Number(port)) ?? node
}

export async function mastersOf(arena: Arena): Promise<ClusterProcess[]> {
  const found: ClusterProcess[] = []
  for (const node of arena.nodes.nodes) if ((await infoOf(arena, node)).includes('role:master')) found.push(node)
  return found
}

/** INFO replication. */
async function infoOf(arena: Arena, node: ClusterProcess): Promise<string> {
  return await askNode(arena, node, (redis) => redis.info('replication'))
}

/** On a busy machine it may not be there for a moment. */
async function askNode<Answer>(
  arena: Arena,
  node: ClusterProcess,
  ask: (redis: RedisConnection) => Promise<Answer>,
): Promise<NonNullable<Answer>> {
  return await eventually(
    async () => {
      const redis = await arena.nodes.open(node)
      try {
        return await ask(redis)
      } finally {
        redis.disconnect()
      }
    },
    { what: `an answer of node ${node.number}` },
  )
}

/** From which its replicas are connected to it. */
export async function replicaPorts(arena: Arena, master: ClusterProcess): Promise<number[]> {
  const list = await askNode(arena, master, async (redis) =>
    String(await redis.call('CLIENT', 'LIST', 'TYPE', 'REPLICA')),
  )
  return [...list.matchAll(/ addr=127\.0\.0\.1:(\d+) /g)].map(([, port]) => Number(port))
}

export async function keysOf(arena: Arena, node: ClusterProcess, shard: number): Promise<string[]> {
  const keys = await askNode(arena, node, (redis) => {
    return redis.call('CLUSTER', 'GETKEYSINSLOT', slotOfShard(shard), 1_000)
  })
  return keys as string[]
}

export async function isReplaced(arena: Arena, shards: readonly number[], master: ClusterProcess): Promise<boolean> {
  const now = await Promise.all(shards.map((shard) => arena.nodes.masterOf(shard)))
  return now.some(({ id }) => id !== master.id)
}

export async function untilReplaced(arena: Arena, shards: readonly number[], master: ClusterProcess): Promise<void> {
  await eventually(
    async () => {
      const now = await Promise.all(shards.map((shard) => arena.nodes.masterOf(shard)))
      return now.every(({ id }) => id !== master.id)
    },
    { what: `a replica in the place of node ${master.number}` },
  )
}

export async function untilReplica(arena: Arena, node: ClusterProcess): Promise<void> {
  await eventually(async () => (await infoOf(arena, node)).includes('role:slave'), {
    what: `node ${node.number} has heard that it was replaced`,
  })
}

/** Every node is there, knows the cluster to be well, and is a master or a replica that is told what its master does. */
export async function untilWhole(arena: Arena): Promise<void> {
  await eventually(
    async () => {
      let replicas = 0
      for (const node of arena.nodes.nodes) {
        const redis = await arena.nodes.open(node)
        try {
          assert.match(String(await redis.call('CLUSTER', 'INFO')), /cluster_state:ok/)
          const info = await redis.info('replication')
          if (info.includes('role:slave')) {
            assert.match(info, /master_link_status:up/)
            replicas++
          }
        } finally {
          redis.disconnect()
        }
      }
      assert.equal(replicas, arena.nodes.nodes.length / 2)
      return true
    },
    { what: 'a whole cluster' },
  )
  await untilCaughtUp(arena)
}

/** What was answered while a replica was away is there as well: it is nobody's promise until then. */
async function untilCaughtUp(arena: Arena): Promise<void> {
  const offsets = new Map<number, number>()
  for (const node of await mastersOf(arena)) offsets.set(node.port, offsetOf(await infoOf(arena, node)))
  for (const node of arena.nodes.nodes) {
    await eventually(
      async () => {
        const info = await infoOf(arena, node)
        const master = /^master_port:(\d+)/m.exec(info)?.[1]
        return master === undefined || offsetOf(info) >= (offsets.get(Number(master)) ?? 0)
      },
      { what: `node ${node.number} has what its master had` },
    )
  }
}

function offsetOf(replication: string): number {
  return Number(/^master_repl_offset:(\d+)/m.exec(replication)?.[1])
}

export async function whilePaused(node: ClusterProcess, ms: number, action: () => Promise<void>): Promise<void> {
  try {
    node.pause()
    await delay(ms)
    await action()
  } finally {
    node.resume()
  }
}

export function named(shards: readonly number[]): string {
  return `shard ${shards.join(' and ')}`
}

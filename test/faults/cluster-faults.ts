import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { slotOfShard } from '../../core/redis/cluster-slot.ts'
import { shardNumbers } from '../../core/shards.ts'
import { eventually } from '../helpers/eventually.ts'
import { processTree } from '../helpers/processes.ts'
import type { ClusterProcess } from '../helpers/redis-cluster.ts'
import type { Arena } from './arena.ts'
import type { FaultKind } from './fault-kind.ts'
import { blockConnection, packetFilterObstacle } from './packet-filter.ts'

/** Some node is there that has all that replicas had. */
const failover = { withReplicas: false }

/**
 * A cluster changes while its shards are sold from. A replica is told of what its master decides after the buyers are: when it
 * takes over, what it lacks may be lost, unless its master has handed over to it.
 */
export const clusterFaults = {
  kill_master: {
    about: 'SIGKILL of a master: its replica takes over, which often lags behind, or it is back before that',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const { master, replica, shards } = await pick(arena, random)
      const lagMs = random.chance(0.6) ? random.between(50, 800) : 0
      const backMs = random.chance(0.3) ? random.between(0, 800) : undefined
      await arena.mayLoseData(shards, failover, async () => {
        if (lagMs > 0) await whilePaused(replica, lagMs, () => master.kill())
        else await master.kill()
        if (backMs === undefined) await untilReplaced(arena, shards, master)
        else await delay(backMs)
        await master.start()
        return await isReplaced(arena, shards, master)
      })
      await untilWhole(arena)
      const back = backMs === undefined ? 'after it was replaced' : `after ${backMs} ms`
      return `killed the master of ${named(shards)}, whose replica was ${lagMs} ms behind; back ${back}`
    },
  },
  hand_over: {
    about: 'CLUSTER FAILOVER: a master hands over to its replica',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const { shards } = await pick(arena, random)
      // On a busy machine a replica may believe for a moment that its master is gone, and does nothing then.
      arena.masters?.handOver(shards)
      await eventually(() => arena.nodes.failOver(shards[0] as number), { what: 'a replica that takes over' })
      await untilWhole(arena)
      return `had the master of ${named(shards)} hand over`
    },
  },
  cut_off_master: {
    about: 'a master is cut off from the other nodes and from its replica, and clients still reach it',
    on: 'cluster',
    targets: ['redis', 'postgres'],
    obstacle: () => packetFilterObstacle,
    inject: async (arena, random) => {
      const { master, shards } = await pick(arena, random)
      const { nodes } = arena
      const afterMs = random.between(0, 1_500)
      // Otherwise Postgres has nearly all that the replica lacks, and it is rebuilt from there.
      const postgres = random.chance(0.5) ? processTree(arena.services.postgres.pid()) : []
      await arena.mayLoseData(shards, failover, async () => {
        const unblocks: (() => void)[] = []
        try {
          for (const port of await replicaPorts(arena, master)) {
            unblocks.push(blockConnection({ service: master.port, client: port }))
          }
          for (const pid of postgres) process.kill(pid, 'SIGSTOP')
          nodes.cutOff(master)
          await untilReplaced(arena, shards, master)
          await delay(afterMs)
        } finally {
          for (const pid of postgres) process.kill(pid, 'SIGCONT')
          for (const unblock of unblocks) unblock()
          nodes.rejoin(master)
        }
        await untilReplica(arena, master)
        return true
      })
      await untilWhole(arena)
      const hung = postgres.length > 0 ? '; Postgres hung meanwhile' : ''
      return `cut the master of ${named(shards)} off, until ${afterMs} ms after it was replaced${hung}`
    },
  },
  stop_master: {
    about: 'SIGSTOP to SIGCONT of a master: it is replaced and wakes up with its old beliefs, or back before that',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const { master, shards } = await pick(arena, random)
      const ms = random.chance(0.4) ? random.between(50, 1_500) : undefined
      await arena.mayLoseData(shards, failover, async () => {
        try {
          master.pause()
          if (ms === undefined) await untilReplaced(arena, shards, master)
          else await delay(ms)
        } finally {
          master.resume()
        }
        if (ms === undefined) await untilReplica(arena, master)
        return await isReplaced(arena, shards, master)
      })
      await untilWhole(arena)
      return `stopped the master of ${named(shards)} ${ms === undefined ? 'until it was replaced' : `for ${ms} ms`}`
    },
  },
  lose_shard: {
    about: 'a master and its replica die and come back with nothing: that shard is rebuilt while the others sell',
    on: 'cluster',
    targets: ['redis', 'postgres'],
    inject: async (arena, random) => {
      const { master, replica, shards } = await pick(arena, random)
      const hangMs = random.chance(0.3) ? random.between(200, 1_000) : 0
      const awayMs = random.between(0, 1_500)
      const postgres = hangMs > 0 ? processTree(arena.services.postgres.pid()) : []
      try {
        await arena.mayLoseData(shards, { withReplicas: true }, async () => {
          for (const pid of postgres) process.kill(pid, 'SIGSTOP')
          await delay(hangMs)
          await Promise.all([master.kill(), replica.kill()])
          for (const node of [master, replica]) node.loseData()
          return true
        })
      } finally {
        for (const pid of postgres) process.kill(pid, 'SIGCONT')
      }
      await delay(awayMs)
      for (const node of [master, replica]) await node.start()
      await untilWhole(arena)
      return `lost ${named(shards)}, which were away for ${awayMs} ms; Postgres hung for ${hangMs} ms before`
    },
  },
  move_slot: {
    about: 'the slot of a shard is moved to another master by hand, some of its keys first',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const { nodes } = arena
      const shard = random.below(arena.shards)
      const from = await nodes.masterOf(shard)
      const masters = await Promise.all(shardNumbers(arena.shards).map((each) => nodes.masterOf(each)))
      const others = [...(await mastersOf(arena)), ...masters].filter(({ id }) => id !== from.id)
      const to = random.pick(others)
      const [beforeMs, betweenMs] = [random.between(0, 500), random.between(0, 800)]
      arena.masters?.handOver([shard])
      await nodes.beginMove(shard, to)
      await delay(beforeMs)
      const keys = await keysOf(arena, from, shard)
      const firstKeys = keys.slice(0, random.between(0, keys.length))
      await nodes.moveKeys(shard, to, firstKeys).catch(() => undefined) // tried again below
      await delay(betweenMs)
      // Some may have been made meanwhile. On a busy machine a node may believe for a moment that it is alone.
      await eventually(
        async () => {
          if ((await keysOf(arena, from, shard)).length === 0) return true
          await nodes.moveKeys(shard, to)
          return false
        },
        { what: 'a slot without keys' },
      )
      await nodes.endMove(shard, to)
      await untilWhole(arena)
      return `moved the slot of shard ${shard} from node ${from.number} to ${to.number} within ${beforeMs + betweenMs} ms`
    },
  },
  restart_nodes: {
    about: 'all nodes are killed and started again, one after the other',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const pauseMs = random.between(0, 600)
      for (const node of arena.nodes.nodes.toSorted(() => random.next() - 0.5)) {
        const shards = await shardsOn(arena, node)
        await arena.mayLoseData(shards, failover, async () => {
          await node.kill()
          await delay(pauseMs)
          await node.start()
          return await isReplaced(arena, shards, node)
        })
        await untilWhole(arena)
      }
      return `restarted all nodes one by one, each after ${pauseMs} ms`
    },
  },
  restart_cluster: {
    about: 'all nodes are killed at once and started again',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const { nodes } = arena.nodes
      const awayMs = random.between(0, 1_000)
      const all = shardNumbers(arena.shards)
      const before = await Promise.all(all.map((shard) => arena.nodes.masterOf(shard)))
      await arena.mayLoseData(all, failover, async () => {
        await Promise.all(nodes.map((node) => node.kill()))
        await delay(awayMs)
        await Promise.all(nodes.map((node) => node.start()))
        const now = await eventually(() => Promise.all(all.map((shard) => arena.nodes.masterOf(shard))))
        return now.some(({ id }, shard) => id !== before[shard]?.id)
      })
      await untilWhole(arena)
      return `restarted the whole cluster after ${awayMs} ms`
    },
  },
} as const satisfies Record<string, FaultKind>

/** A shard's master with its replica, and all shards that it has. */
async function pick(arena: Arena, random: SeededRandom) {
  const master = await arena.nodes.masterOf(random.below(arena.shards))
  const replica = await eventually(() => replicaOf(arena, master), { what: `a replica of node ${master.number}` })
  return { master, replica, shards: await shardsOn(arena, master) }
}

async function shardsOn(arena: Arena, node: ClusterProcess): Promise<number[]> {
  const masters = await Promise.all(shardNumbers(arena.shards).map((shard) => arena.nodes.masterOf(shard)))
  return shardNumbers(arena.shards).filter((shard) => masters[shard]?.id === node.id)
}

async function replicaOf(arena: Arena, master: ClusterProcess): Promise<ClusterProcess | undefined> {
  for (const node of arena.nodes.nodes) {
    const info = await infoOf(arena, node)
    if (info.includes('role:slave') && info.includes(`master_port:${master.port}\r`)) return node
  }
  return undefined
}

async function mastersOf(arena: Arena): Promise<ClusterProcess[]> {
  const found: ClusterProcess[] = []
  for (const node of arena.nodes.nodes) if ((await infoOf(arena, node)).includes('role:master')) found.push(node)
  return found
}

/** INFO replication. */
async function infoOf(arena: Arena, node: ClusterProcess): Promise<string> {
  const redis = await arena.nodes.open(node)
  try {
    return await redis.info('replication')
  } finally {
    redis.disconnect()
  }
}

/** From which its replicas are connected to it. */
async function replicaPorts(arena: Arena, master: ClusterProcess): Promise<number[]> {
  const redis = await arena.nodes.open(master)
  try {
    const list = String(await redis.call('CLIENT', 'LIST', 'TYPE', 'REPLICA'))
    return [...list.matchAll(/ addr=127\.0\.0\.1:(\d+) /g)].map(([, port]) => Number(port))
  } finally {
    redis.disconnect()
  }
}

async function keysOf(arena: Arena, node: ClusterProcess, shard: number): Promise<string[]> {
  const redis = await arena.nodes.open(node)
  try {
    return (await redis.call('CLUSTER', 'GETKEYSINSLOT', slotOfShard(shard), 1_000)) as string[]
  } finally {
    redis.disconnect()
  }
}

async function isReplaced(arena: Arena, shards: readonly number[], master: ClusterProcess): Promise<boolean> {
  const now = await Promise.all(shards.map((shard) => arena.nodes.masterOf(shard)))
  return now.some(({ id }) => id !== master.id)
}

async function untilReplaced(arena: Arena, shards: readonly number[], master: ClusterProcess): Promise<void> {
  await eventually(
    async () => {
      const now = await Promise.all(shards.map((shard) => arena.nodes.masterOf(shard)))
      return now.every(({ id }) => id !== master.id)
    },
    { what: `a replica in the place of node ${master.number}` },
  )
}

async function untilReplica(arena: Arena, node: ClusterProcess): Promise<void> {
  await eventually(async () => (await infoOf(arena, node)).includes('role:slave'), {
    what: `node ${node.number} has heard that it was replaced`,
  })
}

/** Every node is there, knows the cluster to be well, and is a master or a replica that is told what its master does. */
async function untilWhole(arena: Arena): Promise<void> {
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

async function whilePaused(node: ClusterProcess, ms: number, action: () => Promise<void>): Promise<void> {
  try {
    node.pause()
    await delay(ms)
    await action()
  } finally {
    node.resume()
  }
}

function named(shards: readonly number[]): string {
  return `shard ${shards.join(' and ')}`
}

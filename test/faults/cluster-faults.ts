import { setTimeout as delay } from 'node:timers/promises'

import { shardNumbers } from '../../core/shards.ts'
import { eventually } from '../helpers/eventually.ts'
import { processTree, signal } from '../helpers/processes.ts'
import {
  isReplaced,
  keysOf,
  mastersOf,
  named,
  pick,
  replicaPorts,
  shardsOn,
  untilReplaced,
  untilReplica,
  untilWhole,
  whilePaused,
} from './cluster-state.ts'
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
          for (const pid of postgres) signal(pid, 'SIGSTOP')
          nodes.cutOff(master)
          await untilReplaced(arena, shards, master)
          await delay(afterMs)
        } finally {
          for (const pid of postgres) signal(pid, 'SIGCONT')
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
          for (const pid of postgres) signal(pid, 'SIGSTOP')
          await delay(hangMs)
          await Promise.all([master.kill(), replica.kill()])
          for (const node of [master, replica]) node.loseData()
          return true
        })
      } finally {
        for (const pid of postgres) signal(pid, 'SIGCONT')
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

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { shardNumbers } from '../../core/shards.ts'
import { eventually } from '../helpers/eventually.ts'
import { startMove } from '../helpers/move-shard.ts'
import { stillRunning } from '../helpers/processes.ts'
import type { ClusterProcess } from '../helpers/redis-cluster.ts'
import type { Arena } from './arena.ts'
import {
  inPlaceOf,
  mastersOf,
  named,
  pick,
  replicaPorts,
  untilReplaced,
  untilReplica,
  untilWhole,
} from './cluster-state.ts'
import type { FaultKind } from './fault-kind.ts'
import { blockConnection, blockGroup, groupFilterObstacle, secondServerGroup, serverGroup } from './packet-filter.ts'

/** Whatever else is broken just now, a move comes to its end within this. */
const moveMsMax = 90_000

/** A cluster changes on purpose while its shards are sold from; and what two servers believe who see different halves of it. */
export const moveFaults = {
  move_shard: {
    about: 'npm run move-shard to another master, often killed or interrupted on the way and run again',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const shard = random.below(arena.shards)
      const from = await arena.nodes.masterOf(shard)
      const ofShards = await Promise.all(shardNumbers(arena.shards).map((each) => arena.nodes.masterOf(each)))
      const to = random.pick([...(await mastersOf(arena)), ...ofShards].filter(({ id }) => id !== from.id))
      const said = await moveTo(arena, { shard, to, random })
      await untilWhole(arena)
      return `moved shard ${shard} from node ${from.number} to ${to.number} by the command${said}`
    },
  },
  add_node: {
    about: 'a node is added, a shard moved to it, later moved back, and the node taken away',
    on: 'cluster',
    targets: ['redis'],
    inject: async (arena, random) => {
      const shard = random.below(arena.shards)
      const home = await arena.nodes.masterOf(shard)
      const node = await arena.nodes.addNode()
      const there = await moveTo(arena, { shard, to: node, random })
      const ms = random.between(0, 1_000)
      await delay(ms)
      const back = await moveTo(arena, { shard, to: home, random })
      await arena.nodes.removeNode(node)
      await untilWhole(arena)
      return `moved shard ${shard} to a new node${there}, and after ${ms} ms back${back}`
    },
  },
  cut_off_server: {
    about: 'a second server reaches a master that is cut off and no other node; the first one reaches all others',
    on: 'cluster',
    targets: ['redis', 'primary'],
    obstacle: () => groupFilterObstacle,
    inject: async (arena, random) => {
      const [afterMs, hasPostgres] = [random.between(0, 1_500), random.chance(0.5)]
      let cut = ''
      await arena.besideSecondServer(async (pid) => {
        const { master, shards } = await pick(arena, random)
        cut = `the master of ${named(shards)}`
        await arena.mayLoseData(shards, { withReplicas: false }, async () => {
          await whileParted(arena, { master, hasPostgres }, async () => {
            await untilReplaced(arena, shards, master)
            await delay(afterMs)
          })
          await untilReplica(arena, master)
          return true
        })
        await untilWhole(arena)
        process.kill(pid, 'SIGTERM')
      })
      const postgres = hasPostgres ? 'and Postgres' : 'and nothing else'
      return `cut ${cut} off with a server that reached it ${postgres}, until ${afterMs} ms after it was replaced`
    },
  },
} as const satisfies Record<string, FaultKind>

interface MoveToOptions {
  readonly shard: number
  readonly to: ClusterProcess
  readonly random: SeededRandom
}

/** Runs it until it says that the shard is there. Answers what was in the way. */
async function moveTo(arena: Arena, { shard, to, random }: MoveToOptions): Promise<string> {
  const signal = random.chance(0.5) ? random.pick(['SIGKILL', 'SIGINT'] as const) : undefined
  // A run takes about a second: some signals come before it has begun, and some after its end.
  const signalMs = random.between(100, 1_500)
  arena.masters?.handOver([shard])
  const options = { env: arena.serverEnv, cluster: arena.nodes, shard, to: { port: to.front } }
  if (signal !== undefined) {
    const { pid, ended } = startMove(arena.scope, options)
    const late = setTimeout(() => stillRunning([pid]).length > 0 && process.kill(pid, signal), signalMs)
    await ended.finally(() => clearTimeout(late))
  }
  const failures: string[] = []
  await eventually(
    async () => {
      // On a busy machine a master may be taken for dead, and replaced.
      const port = (await inPlaceOf(arena, to)).front
      const { status, stderr } = await startMove(arena.scope, { ...options, to: { port } }).ended
      const said = stderr.split('\n').filter((line) => /HC_\w+:/.test(line))
      if (status !== 0) failures.push(said.join(' '))
      assert.equal(status, 0, stderr)
      return true
    },
    { deadlineMs: moveMsMax, what: `shard ${shard} at node ${to.number}` },
  )
  const interrupted = signal === undefined ? '' : ` (${signal} after ${signalMs} ms)`
  return `${interrupted}${failures.map((failure) => `, again after [${failure}]`).join('')}`
}

/** The master is alone with the second server. */
async function whileParted(
  arena: Arena,
  { master, hasPostgres }: { master: ClusterProcess; hasPostgres: boolean },
  action: () => Promise<void>,
): Promise<void> {
  const { nodes, services } = arena
  const others = nodes.nodes.filter(({ id }) => id !== master.id).map(({ front }) => front)
  const forSecond = hasPostgres ? others : [...others, services.postgresLink.port]
  const unblocks: (() => void)[] = []
  try {
    for (const port of await replicaPorts(arena, master)) {
      unblocks.push(blockConnection({ service: master.port, client: port }))
    }
    for (const port of forSecond) unblocks.push(blockGroup({ gid: secondServerGroup, port }))
    unblocks.push(blockGroup({ gid: serverGroup, port: master.front }))
    nodes.cutOff(master)
    await action()
  } finally {
    for (const unblock of unblocks) unblock()
    nodes.rejoin(master)
  }
}

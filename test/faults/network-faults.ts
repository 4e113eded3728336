import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { eventually } from '../helpers/eventually.ts'
import type { Arena } from './arena.ts'
import type { FaultKind } from './fault-kind.ts'
import type { Link } from './link.ts'

/** As the server's processes introduce themselves to Redis and Postgres. */
const names = [/hotcakes-http/, /hotcakes persister/, /hotcakes primary/, /hotcakes/] as const

/** Trouble on the way between the server's processes and their services. */
export const networkFaults = {
  net_delay: {
    about: 'every byte to and from Redis or Postgres is late',
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = await pickLink(arena, random)
      const [ms, lengthMs] = [random.between(5, 300), random.between(300, 1_500)]
      link.delay(ms)
      await delay(lengthMs)
      link.delay(0)
      return `delayed everything to and from ${service} by ${ms} ms for ${lengthMs} ms`
    },
  },
  net_silence: {
    about: 'nothing arrives for longer than anybody waits, and then all of it does',
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = await pickLink(arena, random)
      const ms = random.between(2_500, 4_500)
      link.delay(ms)
      await delay(random.between(200, 1_000))
      link.delay(0)
      await delay(ms)
      return `held back everything to and from ${service} for ${ms} ms`
    },
  },
  net_cut: {
    about: 'connections are reset, and often new ones refused',
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = await pickLink(arena, random)
      const [name, times, refusedMs] = [random.pick(names), random.between(1, 4), random.pick([0, 0, 300, 1_200])]
      let count = 0
      link.refuses = refusedMs > 0
      for (let time = 0; time < times; time++) {
        count += link.cut(name)
        await delay(random.between(20, 300))
      }
      await delay(refusedMs)
      link.refuses = false
      return `cut ${count} connections of ${name.source} to ${service}, refused new ones for ${refusedMs} ms`
    },
  },
  net_half_close: {
    about: 'connections are closed in one direction',
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = await pickLink(arena, random)
      const [name, side] = [random.pick(names), random.pick(['client', 'service'] as const)]
      const count = link.halfClose(name, side)
      await delay(random.between(100, 600))
      return `half-closed ${count} connections of ${name.source} to ${service}, on behalf of the ${side}`
    },
  },
  lose_decisions: {
    about: 'Redis has decided, and its answer never arrives',
    targets: ['network'],
    inject: async (arena, random) =>
      await lose(await redisLink(arena, random), { word: '_decide', what: 'decisions' }, random),
  },
  lose_commits: {
    about: 'Postgres has committed, and the persister never hears of it',
    targets: ['network'],
    inject: async (arena, random) =>
      await lose(arena.services.postgresLink, { word: 'commit', what: 'commits' }, random),
  },
  lose_trims: {
    about: 'the log was trimmed, and the persister never hears of it',
    targets: ['network'],
    inject: async (arena, random) =>
      await lose(await redisLink(arena, random), { word: 'XTRIM', what: 'trims of the log' }, random),
  },
} as const satisfies Record<string, FaultKind>

async function pickLink(arena: Arena, random: SeededRandom): Promise<{ link: Link; service: string }> {
  return random.chance(0.5)
    ? { link: await redisLink(arena, random), service: 'Redis' }
    : { link: arena.services.postgresLink, service: 'Postgres' }
}

/** To the one Redis, or to the node that has some shard just now: its replica copies through there as well. */
async function redisLink(arena: Arena, random: SeededRandom): Promise<Link> {
  if (!arena.isCluster) return arena.single.link
  const shard = random.below(arena.shards)
  const master = await eventually(() => arena.nodes.masterOf(shard), { what: `a master of shard ${shard}` })
  return arena.services.nodeLinks.get(master.port) ?? assert.fail()
}

async function lose(link: Link, { word, what }: { word: string; what: string }, random: SeededRandom): Promise<string> {
  const count = random.between(1, 5)
  link.loseReplies(word, count)
  await delay(random.between(400, 1_200))
  const left = link.stopLosing()
  return `lost the replies to ${count - left} ${what}`
}

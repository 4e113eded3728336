import { setTimeout as delay } from 'node:timers/promises'

import type { SeededRandom } from '../helpers/random.ts'
import type { Arena } from './arena.ts'
import type { FaultKind } from './fault-kind.ts'
import type { Link } from './link.ts'

/** As the server's processes introduce themselves to Redis and Postgres. */
const names = [/hotcakes-http/, /hotcakes persister/, /hotcakes primary/, /hotcakes/] as const

/** Trouble on the way between the server's processes and their services. */
export const networkFaults = {
  net_delay: {
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = pickLink(arena, random)
      const [ms, lengthMs] = [random.between(5, 300), random.between(300, 1_500)]
      link.delay(ms)
      await delay(lengthMs)
      link.delay(0)
      return `delayed everything to and from ${service} by ${ms} ms for ${lengthMs} ms`
    },
  },
  /** Longer than anybody waits for an answer. What was under way arrives after all, when nobody expects it any more. */
  net_silence: {
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = pickLink(arena, random)
      const ms = random.between(2_500, 4_500)
      link.delay(ms)
      await delay(random.between(200, 1_000))
      link.delay(0)
      await delay(ms)
      return `held back everything to and from ${service} for ${ms} ms`
    },
  },
  net_cut: {
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = pickLink(arena, random)
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
    targets: ['network'],
    inject: async (arena, random) => {
      const { link, service } = pickLink(arena, random)
      const [name, side] = [random.pick(names), random.pick(['client', 'service'] as const)]
      const count = link.halfClose(name, side)
      await delay(random.between(100, 600))
      return `half-closed ${count} connections of ${name.source} to ${service}, on behalf of the ${side}`
    },
  },
  /** Redis has decided, and its answer never arrives. */
  lose_decisions: {
    targets: ['network'],
    inject: async (arena, random) => await lose(arena.redisLink, { word: '_decide', what: 'decisions' }, random),
  },
  /** Postgres has committed, and the persister never hears of it. */
  lose_commits: {
    targets: ['network'],
    inject: async (arena, random) => await lose(arena.postgresLink, { word: 'commit', what: 'commits' }, random),
  },
  /** The log was trimmed, and the persister never hears of it. */
  lose_trims: {
    targets: ['network'],
    inject: async (arena, random) => await lose(arena.redisLink, { word: 'XTRIM', what: 'trims of the log' }, random),
  },
} as const satisfies Record<string, FaultKind>

function pickLink(arena: Arena, random: SeededRandom): { link: Link; service: string } {
  return random.chance(0.5)
    ? { link: arena.redisLink, service: 'Redis' }
    : { link: arena.postgresLink, service: 'Postgres' }
}

async function lose(link: Link, { word, what }: { word: string; what: string }, random: SeededRandom): Promise<string> {
  const count = random.between(1, 5)
  link.loseReplies(word, count)
  await delay(random.between(400, 1_200))
  const left = link.stopLosing()
  return `lost the replies to ${count - left} ${what}`
}

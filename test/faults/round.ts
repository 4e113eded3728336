import { setTimeout as delay } from 'node:timers/promises'

import { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { type Arena, intervalMs } from './arena.ts'
import type { Judgement } from './checker.ts'
import { type FaultName, faults } from './faults.ts'
import { judgeAside } from './judge-aside.ts'
import { Turns } from './turns.ts'

const shoppersAtOnce = 16
/** Shopping before the first fault may come, and after the last was healed. */
const calmMs = 150
/** Within which all faults of a round begin. */
const faultWindowMs = 600

interface PlannedFault {
  readonly name: FaultName
  readonly atMs: number
  readonly random: SeededRandom
}

export interface RoundReport extends Judgement {
  readonly seed: number
  readonly faults: readonly FaultName[]
  readonly ack: Arena['ack']
  /** What happened, a few words a fault. */
  readonly events: readonly string[]
  /** Requests of this round, and those of them that stayed open or were turned away. */
  readonly requests: number
  readonly undecided: number
  /** Rows that came in this round, and answers that were lost in it. */
  readonly decisionsOfRound: number
  readonly lostInRound: number
  readonly tookMs: number
}

/** The faults of a round: the first goes through all kinds as seeds count up, and often others come on top. */
export function planRound(seed: number, kinds: readonly FaultName[]): PlannedFault[] {
  const random = new SeededRandom(seed)
  const count = random.chance(0.5) ? 1 : random.between(2, 3)
  return Array.from({ length: count }, (_, n) => ({
    name: n === 0 ? (kinds[seed % kinds.length] as FaultName) : random.pick(kinds),
    atMs: random.below(faultWindowMs),
    random: new SeededRandom(random.below(2 ** 31)),
  }))
}

/**
 * Shoppers shop, the faults of the seed happen, the server must recover, and everything that was ever said and written
 * in the arena is judged. @throws when the server does not recover
 */
export async function runRound(arena: Arena, seed: number, kinds: readonly FaultName[]): Promise<RoundReport> {
  const startedMs = performance.now()
  const plan = planRound(seed, kinds)
  const { history } = arena.client
  const before = history.length
  const shopping = arena.shoppers.start(shoppersAtOnce)
  const events = await whileShopping(shopping, async () => {
    await delay(calmMs)
    const turns = new Turns()
    const done = await Promise.all(
      plan.map(async ({ name, atMs, random }) => {
        await delay(atMs)
        return await turns.take(faults[name].targets, () => faults[name].inject(arena, random))
      }),
    )
    await arena.untilSelling()
    await delay(calmMs)
    return done
  })
  const judgement = await judgeAside(await arena.evidence(), intervalMs)
  const { decisions, lost } = arena.judged
  arena.judged = judgement
  const ofRound = history.slice(before)
  return {
    ...judgement,
    seed,
    faults: plan.map(({ name }) => name),
    ack: arena.ack,
    events,
    requests: ofRound.length,
    undecided: ofRound.filter(({ answer }) => typeof answer === 'string').length,
    decisionsOfRound: judgement.decisions - decisions,
    lostInRound: judgement.lost - lost,
    tookMs: performance.now() - startedMs,
  }
}

/** The shoppers go home however it ends. */
async function whileShopping<Result>(
  shopping: { stop: () => Promise<void> },
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    return await action()
  } finally {
    await shopping.stop()
  }
}

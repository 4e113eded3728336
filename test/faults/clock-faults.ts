import { writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { type ClockSteps, clockPollMs } from './clock-steps.ts'
import type { FaultKind } from './fault-kind.ts'

const stepsMs = [150, 30_000, 3_600_000, 40 * 86_400_000] as const

/** The app machines' clocks jump, each to another time. Those of Redis and Postgres stay. */
export const clockFaults = {
  step_clocks: {
    about: "the wall clocks of the server's processes jump, each to another time, by up to 40 days",
    targets: ['clock'],
    inject: async (arena, random) => {
      const steps: ClockSteps = { http: draw(random), persister: draw(random), primary: draw(random) }
      writeFileSync(arena.clockFile, JSON.stringify(steps))
      await delay(random.between(300, 1_500))
      writeFileSync(arena.clockFile, JSON.stringify({ http: 0, persister: 0, primary: 0 } satisfies ClockSteps))
      await delay(2 * clockPollMs)
      const seconds = Object.entries(steps).map(([kind, ms]) => `${kind} ${ms / 1_000} s`)
      return `stepped the clocks and back: ${seconds.join(', ')}`
    },
  },
} as const satisfies Record<string, FaultKind>

function draw(random: SeededRandom): number {
  return random.pick(stepsMs) * (random.chance(0.5) ? 1 : -1)
}

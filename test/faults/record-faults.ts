import { setTimeout as delay } from 'node:timers/promises'

import { eventually } from '../helpers/eventually.ts'
import type { FaultKind } from './fault-kind.ts'

/** Postgres answers, and does not take the rows. */
export const recordFaults = {
  reject_row: {
    about: 'Postgres refuses rows by a constraint',
    targets: ['postgres'],
    inject: async (arena, random) => {
      const table = random.pick(['purchases', 'checkout_attempts', 'purchase_attempts'])
      const ms = random.between(100, 1_500)
      const share = random.pick(['false', `n <> 0`, `item_index % 7 <> 0`])
      await eventually(() =>
        arena.database.query({ text: `alter table ${table} add constraint refused check (${share}) not valid` }),
      )
      await delay(ms)
      await eventually(() => arena.database.query({ text: `alter table ${table} drop constraint if exists refused` }))
      return `Postgres took no row of ${table} against ${share} for ${ms} ms`
    },
  },
} as const satisfies Record<string, FaultKind>

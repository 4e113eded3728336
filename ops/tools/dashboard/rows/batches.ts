import { graph } from '../panels.ts'
import { mean, of, rate } from '../queries.ts'
import type { Row } from './row.ts'

export const batches: Row = {
  id: 17,
  title: 'Batches',
  panels: [
    graph({
      id: 18,
      title: 'Commands in a call',
      about: 'Mean. It grows exactly when Redis is what everybody waits for.',
      unit: 'short',
      width: 8,
      height: 7,
      queries: { 'commands a call': mean('hotcakes_batch_commands') },
    }),
    graph({
      id: 19,
      title: 'Calls of Redis',
      about: 'One call decides a whole batch.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: { calls: `sum(${rate('hotcakes_batch_commands_count')})` },
    }),
    graph({
      id: 20,
      title: 'Commands waiting',
      about: 'Accepted and not decided yet, and purchases that wait for Postgres (APP_ACK=postgres).',
      unit: 'short',
      width: 8,
      height: 7,
      queries: {
        'for Redis': `sum(${of('hotcakes_commands_waiting')})`,
        'for Postgres': `sum(${of('hotcakes_answers_uncommitted')})`,
      },
    }),
  ],
}

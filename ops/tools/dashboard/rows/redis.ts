import { graph, stat, yesIsGood } from '../panels.ts'
import { of, quantile, rate } from '../queries.ts'
import type { Row } from './row.ts'

export const redis: Row = {
  id: 21,
  title: 'Redis',
  panels: [
    graph({
      id: 22,
      title: 'A call takes',
      about: 'From sending a batch to its answer, the fsync included.',
      unit: 's',
      width: 8,
      height: 7,
      queries: {
        'half of them within': quantile(0.5, 'hotcakes_redis_batch_duration_seconds'),
        '99 of 100 within': quantile(0.99, 'hotcakes_redis_batch_duration_seconds'),
      },
    }),
    graph({
      id: 23,
      title: 'Faults',
      about: 'Of the world around the server, by code (docs/ERRORS.md), and by shard where there are several.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: {
        '{{code}} {{shard}}': `sum by (code, shard) (${rate('hotcakes_faults_total')}) > 0`,
        'persister {{code}} {{shard}}': `sum by (code, shard) (${rate('hotcakes_persister_faults_total')}) > 0`,
      },
    }),
    stat({
      id: 24,
      title: 'Durable',
      about: 'Whether Redis keeps everything that it acknowledges.',
      unit: 'short',
      width: 4,
      height: 7,
      query: `min(${of('hotcakes_redis_durable')})`,
      ...yesIsGood,
    }),
    stat({
      id: 25,
      title: 'Sound',
      about: 'Whether Redis holds what Postgres has on record.',
      unit: 'short',
      width: 4,
      height: 7,
      query: `min(${of('hotcakes_record_sound')})`,
      ...yesIsGood,
    }),
    graph({
      id: 47,
      title: 'Replicas take',
      about: 'From a decision until all replicas have it (APP_ACK=replica).',
      unit: 's',
      width: 16,
      height: 7,
      queries: {
        'half of them within': quantile(0.5, 'hotcakes_replica_wait_seconds'),
        '99 of 100 within': quantile(0.99, 'hotcakes_replica_wait_seconds'),
      },
    }),
    stat({
      id: 48,
      title: 'Replicas',
      about: 'That answers of the shard with the fewest wait for (APP_ACK=replica).',
      unit: 'short',
      width: 8,
      height: 7,
      query: `min(${of('hotcakes_replicas_awaited')})`,
      steps: [
        ['red', null],
        ['green', 1],
      ],
    }),
  ],
}

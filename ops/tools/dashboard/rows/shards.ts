import { graph } from '../panels.ts'
import { of, quantile, rate, shardNamed } from '../queries.ts'
import type { Row } from './row.ts'

export const shards: Row = {
  id: 42,
  title: 'Shards',
  panels: [
    graph({
      id: 43,
      title: 'Commands a second',
      about:
        'What each shard was given to decide: checkouts, purchases, and questions for rights. One that stays at 0 beside the others is away, or nobody wants its items.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: { 'shard {{shard}}': shardNamed(`sum by (shard) (${rate('hotcakes_batch_commands_sum')})`) },
    }),
    graph({
      id: 44,
      title: 'A call takes, by shard',
      about: '99 of 100 calls of Redis are answered within this.',
      unit: 's',
      width: 8,
      height: 7,
      queries: {
        'shard {{shard}}': shardNamed(quantile(0.99, 'hotcakes_redis_batch_duration_seconds', { by: ['shard'] })),
      },
    }),
    graph({
      id: 45,
      title: 'Away',
      about:
        'HTTP workers that get no answer from the Redis of a shard; and shards whose Redis is not known to have all that was sold (1). Neither sells.',
      unit: 'short',
      width: 8,
      height: 7,
      queries: {
        'shard {{shard}}: workers without it': shardNamed(`sum by (shard) (${of('hotcakes_redis_away')})`),
        'shard {{shard}}: unsound': `1 - min by (shard) (${of('hotcakes_record_sound')})`,
      },
    }),
    graph({
      id: 27,
      title: 'Backlog',
      about: 'Log entries, each a batch, that are not in Postgres yet. At APP_LOG_BACKLOG_MAX a shard stops selling.',
      unit: 'short',
      width: 8,
      height: 7,
      queries: { 'shard {{shard}}': `max by (shard) (${of('hotcakes_log_backlog_entries')})` },
    }),
    graph({
      id: 28,
      title: 'Lag',
      about: 'Age of the oldest of them.',
      unit: 's',
      width: 8,
      height: 7,
      queries: { 'shard {{shard}}': `max by (shard) (${of('hotcakes_log_lag_seconds')})` },
    }),
    graph({
      id: 46,
      title: 'Turned away, by shard',
      about: 'Answered 503 because of that shard. all: each shard would have turned it away, or it was of none.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: { 'shard {{shard}}': shardNamed(`sum by (shard) (${rate('hotcakes_requests_shed_total')})`, 'all') },
    }),
    graph({
      id: 53,
      title: 'Rights asked for',
      about: 'Times that a shard was asked for a right of a buyer that it has to spare.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: { asked: `sum(${rate('hotcakes_rights_asked_total')})` },
    }),
    graph({
      id: 54,
      title: 'Rounds for rights',
      about: 'Checkouts whose buyer had no right in the shard of the item, by what the others said.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: { '{{result}}': `sum by (result) (${rate('hotcakes_rights_rounds_total')})` },
      stacked: 40,
    }),
    graph({
      id: 55,
      title: 'Waiting for rights',
      about: 'Checkouts that wait until the other shards have said what rights their buyers have.',
      unit: 'short',
      width: 8,
      height: 7,
      queries: { waiting: `sum(${of('hotcakes_rights_waiting')})` },
    }),
  ],
}

import { graph, stat } from '../panels.ts'
import { mean, of, quantile, rate } from '../queries.ts'
import type { Row } from './row.ts'

export const record: Row = {
  id: 26,
  title: 'Log and Postgres',
  panels: [
    graph({
      id: 29,
      title: 'Rows written',
      about: 'By table.',
      unit: 'wps',
      width: 12,
      height: 7,
      queries: { '{{table}}': `sum by (table) (${rate('hotcakes_persisted_rows_total')})` },
      stacked: 40,
    }),
    graph({
      id: 30,
      title: 'A transaction takes',
      about: 'Of the persister, and how many entries each has.',
      unit: 's',
      width: 12,
      height: 7,
      queries: {
        '99 of 100 within': quantile(0.99, 'hotcakes_copy_duration_seconds'),
        mean: mean('hotcakes_copy_duration_seconds'),
      },
    }),
    graph({
      id: 31,
      title: 'Persisters',
      about:
        "Of each shard one is active, others stand by. Nothing gets into Postgres: away, it does not answer; refused, it takes no rows; locked, another session keeps them out; log_fault, the log can't be copied.",
      unit: 'short',
      width: 12,
      height: 6,
      queries: { '{{state}}, shard {{shard}}': `sum by (state, shard) (${of('hotcakes_persister_state')})` },
      stacked: 60,
    }),
    graph({
      id: 32,
      title: 'Log entries in a transaction',
      about: 'Mean.',
      unit: 'short',
      width: 12,
      height: 6,
      queries: { entries: mean('hotcakes_drain_entries') },
    }),
    stat({
      id: 33,
      title: 'Last audit',
      about: 'What the last audit of the whole record found.',
      unit: 'short',
      width: 6,
      height: 4,
      query: `max(${of('hotcakes_audit_verdict', 'verdict="passed"')})`,
      steps: [
        ['red', null],
        ['green', 1],
      ],
      texts: { 0: 'not passed', 1: 'passed' },
    }),
    stat({
      id: 34,
      title: 'Audited',
      about: 'How long ago.',
      unit: 's',
      width: 6,
      height: 4,
      query: `time() - max(${of('hotcakes_audit_started_timestamp_seconds')})`,
    }),
    stat({
      id: 49,
      title: 'Oldest day',
      about: 'How many days ago the oldest day is that has attempts on record.',
      unit: 's',
      width: 6,
      height: 4,
      query: `max(${of('hotcakes_record_age_seconds')})`,
    }),
    stat({
      id: 56,
      title: 'Older than it should be',
      about:
        'Whether the record has days that APP_RECORD_DAYS says it should not have any more: npm run retire takes them out.',
      unit: 'short',
      width: 6,
      height: 4,
      query: `max(${of('hotcakes_record_too_old')})`,
      steps: [
        ['green', null],
        ['orange', 1],
      ],
      texts: { 0: 'no', 1: 'yes' },
    }),
  ],
}

import { graph } from '../panels.ts'
import { increase, of, rate } from '../queries.ts'
import type { Row } from './row.ts'

export const workers: Row = {
  id: 35,
  title: 'Workers',
  panels: [
    graph({
      id: 36,
      title: 'Event loop delay, 99 of 100 below',
      about: 'One that is stuck stands out.',
      unit: 's',
      width: 8,
      height: 8,
      queries: { '{{process}} {{number}}': of('hotcakes_event_loop_delay_seconds', 'percentile="99"') },
    }),
    graph({
      id: 37,
      title: 'CPU',
      about: 'Cores used, by process.',
      unit: 'short',
      width: 8,
      height: 8,
      queries: { '{{process}} {{number}}': `sum by (process, number) (${rate('hotcakes_process_cpu_seconds_total')})` },
    }),
    graph({
      id: 38,
      title: 'Memory',
      about: 'Resident, by process.',
      unit: 'bytes',
      width: 8,
      height: 8,
      queries: { '{{process}} {{number}}': of('hotcakes_process_resident_memory_bytes') },
    }),
    graph({
      id: 39,
      title: 'Processes',
      about: 'By kind and state.',
      unit: 'short',
      width: 8,
      height: 6,
      queries: { '{{kind}} {{state}}': `sum by (kind, state) (${of('hotcakes_workers')}) > 0` },
      stacked: 40,
    }),
    graph({
      id: 40,
      title: 'Died, and hung',
      about: 'Replaced by the primary; and those that did not answer the last scrape.',
      unit: 'short',
      width: 8,
      height: 6,
      queries: {
        '{{kind}} replaced': `sum by (kind) (${increase('hotcakes_worker_restarts_total')})`,
        '{{kind}} silent': `sum by (kind) (${of('hotcakes_worker_unresponsive')})`,
      },
    }),
    graph({
      id: 41,
      title: 'Reloads and recoveries',
      about: 'Rolling reloads of the HTTP workers; rebuilds of Redis out of Postgres.',
      unit: 'short',
      width: 8,
      height: 6,
      queries: {
        'reload {{result}}': `sum by (result) (${increase('hotcakes_reloads_total')})`,
        recovery: `sum(${increase('hotcakes_recoveries_total')})`,
      },
    }),
    graph({
      id: 64,
      title: 'Spans',
      about:
        'Of sampled requests, batches and commits (OTEL_EXPORTER_OTLP_ENDPOINT), by what became of them. docs/TRACING.md',
      unit: 'reqps',
      width: 24,
      height: 6,
      queries: { '{{result}}': `sum by (result) (${rate('hotcakes_trace_spans_total')})` },
      stacked: 40,
    }),
  ],
}

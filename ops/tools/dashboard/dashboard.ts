import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'

import { prometheus } from './panels.ts'
import { serverVariable } from './queries.ts'
import { batches } from './rows/batches.ts'
import { buyers } from './rows/buyers.ts'
import { latency } from './rows/latency.ts'
import { record } from './rows/record.ts'
import { redis } from './rows/redis.ts'
import { selling } from './rows/selling.ts'
import { shards } from './rows/shards.ts'
import { workers } from './rows/workers.ts'

/**
 * Where the dashboard is in the repository. It is committed, and not made by the build: people import it into a Grafana of
 * their own straight from there, and docker-compose.yml mounts it.
 */
export const dashboardFile = 'ops/deploy/grafana/dashboards/hotcakes.json'

const rows = [selling, shards, latency, batches, redis, record, buyers, workers]

function dashboard(): Dashboard {
  const servers = `label_values(hotcakes_build_info, ${serverVariable})`
  const builder = new DashboardBuilder('hotcakes')
    .uid('hotcakes')
    .tags(['hotcakes'])
    .timezone('utc')
    .refresh('5s')
    .time({ from: 'now-15m', to: 'now' })
    .tooltip(DashboardCursorSync.Crosshair)
    .editable()
    .version(1)
    .annotations([])
    .links([])
    .withVariable(
      new QueryVariableBuilder(serverVariable)
        .label('Server')
        .datasource(prometheus)
        .query({ query: servers, refId: 'instances' })
        .definition(servers)
        .includeAll(true)
        .multi(true)
        .allValue('.*')
        .current({ text: 'All', value: '$__all' })
        .refresh(VariableRefresh.OnTimeRangeChanged)
        // oxlint-disable-next-line unicorn/no-array-sort -- no array
        .sort(VariableSort.AlphabeticalAsc),
    )
  for (const { id, title, panels } of rows) {
    builder.withRow(new RowBuilder(title).id(id))
    for (const panel of panels) builder.withPanel(panel)
  }
  return builder.build()
}

/** What is to stand in `dashboardFile`. */
export function dashboardText(): string {
  return `${JSON.stringify(dashboard(), null, 2)}\n`
}

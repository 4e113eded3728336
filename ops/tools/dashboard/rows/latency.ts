import { graph, heatmap } from '../panels.ts'
import { increase, quantile } from '../queries.ts'
import type { Row } from './row.ts'

export const latency: Row = {
  id: 13,
  title: 'Latency',
  panels: [
    graph({
      id: 14,
      title: 'Answers, half of them within',
      about: 'From the arrival of a request to its answer.',
      unit: 's',
      width: 8,
      height: 8,
      queries: {
        '{{route}}': quantile(0.5, 'hotcakes_http_request_duration_seconds', {
          by: ['route'],
          labels: 'route=~"/checkout|/purchase|/release|/sale"',
        }),
      },
    }),
    graph({
      id: 15,
      title: 'Answers, 99 of 100 within',
      about: 'From the arrival of a request to its answer.',
      unit: 's',
      width: 8,
      height: 8,
      queries: {
        '{{route}}': quantile(0.99, 'hotcakes_http_request_duration_seconds', {
          by: ['route'],
          labels: 'route=~"/checkout|/purchase|/release|/sale"',
        }),
      },
    }),
    heatmap({
      id: 16,
      title: 'How long answers take',
      about: "All of the buyers' requests.",
      unit: 's',
      width: 8,
      height: 8,
      query: `sum by (le) (${increase('hotcakes_http_request_duration_seconds_bucket', 'route=~"/checkout|/purchase|/release|/sale"')})`,
    }),
    graph({
      id: 63,
      title: 'How fast the latency budget burns',
      about:
        'Of all servers. 1: over a month just 1 % of the answers take longer than 250 ms. The alerts look at these windows.',
      unit: 'short',
      width: 24,
      height: 6,
      queries: {
        '5 minutes': 'job:hotcakes_latency_budget:burn_rate5m',
        '1 hour': 'job:hotcakes_latency_budget:burn_rate1h',
        '6 hours': 'job:hotcakes_latency_budget:burn_rate6h',
        '3 days': 'job:hotcakes_latency_budget:burn_rate3d',
      },
    }),
  ],
}

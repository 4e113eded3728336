/** What PromQL the panels have in common. Each series is of the servers that are chosen at the dashboard's head. */

/** The dashboard's variable: the servers that it shows. */
export const serverVariable = 'instance'

/** The series of a metric. @param labels further matchers, `state="sold"` */
export function of(metric: string, labels = ''): string {
  return `${metric}{${[`${serverVariable}=~"$${serverVariable}"`, labels].filter((text) => text !== '').join(',')}}`
}

/** Its growth a second, over four scrapes (Grafana's own interval for rates). */
export function rate(metric: string, labels = ''): string {
  return `rate(${of(metric, labels)}[$__rate_interval])`
}

export function increase(metric: string, labels = ''): string {
  return `increase(${of(metric, labels)}[$__rate_interval])`
}

/** The value that the share `q` of a histogram's observations doesn't exceed. @param by labels that are told apart */
export function quantile(
  q: number,
  histogram: string,
  { by = [], labels = '' }: { by?: string[]; labels?: string } = {},
) {
  return `histogram_quantile(${q}, sum by (${[...by, 'le'].join(', ')}) (${rate(`${histogram}_bucket`, labels)}))`
}

/** The mean of a histogram's observations. */
export function mean(histogram: string): string {
  return `sum(${rate(`${histogram}_sum`)}) / sum(${rate(`${histogram}_count`)})`
}

/** Without its label a series is of the only shard there is, or of all: it gets a name that can be shown. */
export function shardNamed(expr: string, name = '0'): string {
  return `label_replace(${expr}, "shard", "${name}", "shard", "")`
}

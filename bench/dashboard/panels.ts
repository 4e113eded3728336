import { readFileSync } from 'node:fs'

import type { Prometheus, Series } from './prometheus.ts'

const file = 'ops/deploy/grafana/dashboards/hotcakes.json'
/** What Grafana puts for $__rate_interval at this scrape interval: four scrapes. */
const scrapesPerRate = 4

interface Panel {
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string
      readonly mappings?: readonly { readonly options: Readonly<Record<string, { readonly text: string }>> }[]
      readonly custom?: { readonly stacking?: { readonly mode: string } }
    }
  }
}

export interface PanelSeries {
  readonly label: string
  /** Place in `times` -> value; null where there is none. */
  readonly values: readonly (number | null)[]
}

export interface PanelData {
  readonly type: string
  readonly title: string
  readonly grid: Panel['gridPos']
  readonly unit: string
  /** Value -> text to show in its place. */
  readonly texts: Readonly<Record<string, string>>
  readonly isStacked: boolean
  readonly series: readonly PanelSeries[]
}

export interface DashboardData {
  /** Unix seconds. */
  readonly times: readonly number[]
  readonly panels: readonly PanelData[]
}

export interface Span {
  readonly start: number
  readonly end: number
  readonly step: number
  readonly scrapeSeconds: number
}

/** What every panel of the dashboard shows of a span of time. @throws Error when Prometheus refuses a query */
export async function queryPanels(prometheus: Prometheus, span: Span): Promise<DashboardData> {
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as { panels: Panel[] }
  const count = Math.floor((span.end - span.start) / span.step) + 1
  const times = Array.from({ length: count }, (_, n) => span.start + n * span.step)
  const rateSpan = `${scrapesPerRate * span.scrapeSeconds}s`
  const filled: PanelData[] = []
  for (const panel of panels) {
    const series: PanelSeries[] = []
    for (const { expr, legendFormat } of panel.targets ?? []) {
      const query = expr.replaceAll('$__rate_interval', rateSpan).replaceAll('$instance', '.*')
      const found = await prometheus.range(query, span)
      series.push(...found.map((one) => ({ label: labelOf(one, legendFormat), values: aligned(one, times) })))
    }
    filled.push({
      type: panel.type,
      title: panel.title,
      grid: panel.gridPos,
      unit: panel.fieldConfig?.defaults.unit ?? 'short',
      texts: textsOf(panel),
      isStacked: panel.fieldConfig?.defaults.custom?.stacking?.mode === 'normal',
      series,
    })
  }
  return { times, panels: filled }
}

function labelOf({ metric }: Series, format: string): string {
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => metric[name] ?? '')
}

function aligned({ values }: Series, times: readonly number[]): (number | null)[] {
  const byTime = new Map(values.map(([time, value]) => [Math.round(time), Number(value)]))
  return times.map((time) => {
    const value = byTime.get(Math.round(time))
    return value === undefined || !Number.isFinite(value) ? null : value
  })
}

function textsOf({ fieldConfig }: Panel): Record<string, string> {
  const mappings = fieldConfig?.defaults.mappings ?? []
  return Object.fromEntries(
    mappings.flatMap(({ options }) => Object.entries(options).map(([value, { text }]) => [value, text])),
  )
}

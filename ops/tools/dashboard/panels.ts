import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  MappingType,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import {
  PanelBuilder as HeatmapBuilder,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapTooltipBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

/** As it is provisioned: ops/deploy/grafana/provisioning. */
export const prometheus: DataSourceRef = { type: 'prometheus', uid: 'hotcakes-prometheus' }

/** What every panel has. */
interface PanelFacts {
  /** Addresses of a single panel have it (`viewPanel=`), so it stays, and no other panel gets it. */
  readonly id: number
  readonly title: string
  /** Behind the panel's sign for information. */
  readonly about: string
  readonly unit: 'short' | 'reqps' | 'wps' | 's' | 'bytes' | 'percentunit'
  /** Of the grid: 24 wide. Panels fill a line from the left, and the next one begins when it is full. */
  readonly width: number
  readonly height: number
}

type Steps = readonly (readonly [color: string, from: number | null])[]

interface StatFacts extends PanelFacts {
  readonly query: string
  /** Colours, each from a value on, the first of all below. */
  readonly steps?: Steps
  /** Value -> what is shown in its place. */
  readonly texts?: Readonly<Record<string, string>>
}

interface GraphFacts extends PanelFacts {
  /** Legend -> query. */
  readonly queries: Readonly<Record<string, string>>
  /** The series stand on each other, filled so much (%). */
  readonly stacked?: number
  /** Legend -> colour. */
  readonly colors?: Readonly<Record<string, string>>
}

const neutral: Steps = [['text', null]]

/** One number, and how it came there. */
export function stat({ query, steps = neutral, texts = {}, ...facts }: StatFacts): Builder<Panel> {
  const options = Object.fromEntries(Object.entries(texts).map(([value, text]) => [value, { text }]))
  const panel = new StatBuilder()
    .withTarget(asked(query, '', 'A'))
    .thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps(steps.map(([color, value]) => ({ color, value }))),
    )
    .mappings(Object.keys(options).length === 0 ? [] : [{ type: MappingType.ValueToText, options }])
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false))
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.Area)
  return withFacts(panel, facts)
}

/** `yes` in green when the query is 1, `no` in red when it is 0. */
export const yesIsGood = {
  steps: [
    ['red', null],
    ['green', 1],
  ],
  texts: { 0: 'no', 1: 'yes' },
} satisfies Pick<StatFacts, 'steps' | 'texts'>

/** Lines over time, from 0 up. */
export function graph({ queries, stacked, colors = {}, ...facts }: GraphFacts): Builder<Panel> {
  const panel = new TimeseriesBuilder()
    .targets(Object.entries(queries).map(([legend, query], at) => asked(query, legend, refIdOf(at))))
    .min(0)
    .drawStyle(GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(stacked ?? 10)
    .showPoints(VisibilityMode.Never)
    .stacking(
      new StackingConfigBuilder().group('A').mode(stacked === undefined ? StackingMode.None : StackingMode.Normal),
    )
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    // oxlint-disable-next-line unicorn/no-array-sort -- no array
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
  for (const [legend, fixedColor] of Object.entries(colors))
    panel.overrideByName(legend, [{ id: 'color', value: { mode: 'fixed', fixedColor } }])
  return withFacts(panel, facts)
}

/** How often each bucket of a histogram was hit over time. */
export function heatmap({ query, ...facts }: PanelFacts & { readonly query: string }): Builder<Panel> {
  const panel = new HeatmapBuilder()
    .withTarget(asked(query, '{{le}}', 'A').format(PromQueryFormat.Heatmap))
    .calculate(false)
    .cellGap(1)
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Oranges').steps(64))
    .yAxis(new YAxisConfigBuilder().unit(facts.unit))
    .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true))
  return withFacts(panel, facts)
}

function asked(expr: string, legend: string, refId: string): DataqueryBuilder {
  return new DataqueryBuilder().refId(refId).datasource(prometheus).expr(expr).legendFormat(legend).range()
}

function refIdOf(at: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + at)
}

type AnyPanelBuilder = StatBuilder | TimeseriesBuilder | HeatmapBuilder

function withFacts(panel: AnyPanelBuilder, { id, title, about, unit, width, height }: PanelFacts): Builder<Panel> {
  return panel.id(id).title(title).description(about).unit(unit).datasource(prometheus).span(width).height(height)
}

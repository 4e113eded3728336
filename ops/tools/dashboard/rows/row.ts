import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard'

/** A heading of the dashboard, and what is below it. */
export interface Row {
  /** As a panel's: see panels.ts. */
  readonly id: number
  readonly title: string
  readonly panels: readonly Builder<Panel>[]
}

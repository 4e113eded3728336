import { fileURLToPath } from 'node:url'

/** The last one without shards. */
export const lastVersionCommit = '8f48bb5'

/** Below the project's root: the build copies none of it. */
export const fixture = fileURLToPath(new URL('../../../test/fixtures/last-version/', import.meta.url))

/** The program of its persister: with packages of this checkout, and a copy thread and Redis functions of its own. */
export const lastPersister = `${fixture}persister/persister-main.js`

/** With which that version ran when it made the data. Its holds are those of the second run: see make.ts. */
export const settings = {
  APP_ITEM_NUMBER: '60',
  APP_USER_LIMIT: '3',
  APP_SALE_INTERVAL_SECONDS: '900',
  APP_HOLD_SECONDS: '600',
} as const

/** A request, and what that version answered. */
export interface Answer {
  readonly path: string
  readonly status: number
  /** `Hotcakes-Decision`, the place in the log. */
  readonly decision: string
  readonly body: Readonly<Record<string, unknown>>
}

/** What `story.json` holds. */
export interface Story {
  readonly commit: string
  /** By Redis' clock, when everything was killed. */
  readonly endedAtMs: number
  /** The sale that was over, and the one in progress. */
  readonly sales: readonly [over: number, current: number]
  /** In the order in which they came. */
  readonly answers: readonly Answer[]
  /** The last so many were answered when nothing was drained any more. */
  readonly undrained: number
}

/** Rows of each table, as Postgres' `json_agg` gives them, and the days that the attempts have partitions for. */
export interface Rows {
  readonly days: readonly string[]
  readonly tables: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
}

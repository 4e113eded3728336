import assert from 'node:assert/strict'
import type { AuditVerdict } from '../../../core/audit-verdict.ts'
import { formatLogPosition, type LogPosition } from '../../../core/log-position.ts'
import { textTable } from '../../../core/text-table.mjs'
import { isoTime } from '../../../core/time.ts'
import { type Breaches, type BreachRow, type Check, checks } from './breaches.ts'
import type { RetiredDays } from './postgres-side.ts'

export interface SaleReport {
  readonly sale: number
  /**
   * compared: with Redis, completely; not_drained: with Redis, as far as Postgres had the log; postgres_alone: Redis
   * has dropped the sale, or it was opened after Redis was read.
   */
  readonly state: 'compared' | 'not_drained' | 'postgres_alone'
  readonly opensAtMs: number | undefined
  readonly items: number | undefined
  readonly redis: { readonly sold: number; readonly held: number; readonly attempts: number } | undefined
  readonly postgres: {
    readonly purchases: number
    readonly attempts: number
    readonly outcomes: Readonly<Record<string, number>>
  }
}

export interface AuditReport {
  readonly verdict: AuditVerdict
  readonly startedAtMs: number
  readonly tookMs: number
  /** Of each shard, by their numbers. */
  readonly logs: readonly {
    readonly shard: number
    readonly offset: LogPosition
    readonly last: string
    readonly backlogEntries: number
    readonly lagSeconds: number
    readonly persister: string
  }[]
  readonly sales: readonly SaleReport[]
  /** Attempts that named no listed sale. */
  readonly unlisted: { readonly redis: number; readonly postgres: number }
  /** Attempts in Postgres up to its offset; undefined when only one sale was asked for. */
  readonly rows: number | undefined
  /** Of these days there are counts alone; they are in all numbers above. */
  readonly retired: RetiredDays | undefined
  readonly breaches: Breaches
  /** Why the audit is incomplete. */
  readonly notChecked: readonly string[]
  readonly wholeRecord: boolean
}

/** Left out when only one sale is looked at. */
const wholeRecordChecks = new Set<Check>(['log_entry_missing', 'place_doubled', 'place_missing'])
/** Left out when there is one shard: then no right is ever lent. */
const rightsChecks = new Set<Check>(['over_rights', 'right_not_lent', 'rights_differ'])

export type LogReport = AuditReport['logs'][number]

/** The first shard's log: the one that there always is. */
export function firstLog({ logs }: AuditReport): LogReport {
  const [log] = logs
  assert.ok(log)
  return log
}

/** For machines. Times are RFC 3339, `count` may be more than the rows that are given; `logs` are there with several shards. */
export function reportAsJson(report: AuditReport): string {
  const { verdict, logs, sales, unlisted, rows, retired, notChecked, tookMs } = report
  const shown = {
    verdict,
    started_at: isoTime(report.startedAtMs),
    took_ms: tookMs,
    log: logAsJson(firstLog(report)),
    ...(logs.length > 1 && { logs: logs.map((log) => ({ shard: log.shard, ...logAsJson(log) })) }),
    attempts: rows ?? null,
    retired: retired ?? null,
    unlisted,
    sales: sales.map((sale) => ({
      sale: sale.sale,
      state: sale.state,
      opens_at: sale.opensAtMs === undefined ? null : isoTime(sale.opensAtMs),
      items: sale.items ?? null,
      redis: sale.redis ?? null,
      postgres: sale.postgres,
    })),
    checks: checked(report).map(({ check, holds, count, rows: breachRows }) => ({
      check,
      holds,
      breaches: count,
      rows: breachRows,
    })),
    not_checked: notChecked,
  }
  return `${JSON.stringify(shown, undefined, 2)}\n`
}

function logAsJson({ offset, last, backlogEntries, lagSeconds, persister }: LogReport) {
  return {
    offset: formatLogPosition(offset),
    last,
    backlog_entries: backlogEntries,
    lag_seconds: lagSeconds,
    persister,
  }
}

function logAsText({ shard, offset, last, backlogEntries, lagSeconds, persister }: LogReport, count: number): string {
  const whose = count > 1 ? `log of shard ${shard}` : 'log'
  const age = backlogEntries > 0 ? `, the oldest for ${lagSeconds.toFixed(1)} s` : ''
  const heard = persister === 'silent' ? 'no persister has been heard of' : `the persister is ${persister}`
  const waiting = `${backlogEntries} entries are waiting${age}`
  return `${whose}: Postgres has it up to ${formatLogPosition(offset)}, Redis is at ${last}; ${waiting}; ${heard}`
}

const saleHead = ['sale', 'opened', 'items', 'sold', 'purchases', 'held', 'attempts', 'recorded', '']

/** For people. */
export function reportAsText(report: AuditReport): string {
  const { logs, sales, unlisted, rows, retired, notChecked, tookMs } = report
  const lines = [
    ...logs.map((log) => logAsText(log, logs.length)),
    '',
    ...textTable(saleHead, sales.map(saleCells), { left: [saleHead.length - 1] }),
  ]
  if (unlisted.redis + unlisted.postgres > 0) {
    lines.push(`attempts that named no listed sale: ${unlisted.redis}, recorded ${unlisted.postgres}`)
  }
  if (rows !== undefined) lines.push(`attempts on record: ${rows}`)
  if (retired !== undefined) lines.push(retiredText(retired))
  lines.push('')
  for (const { holds, count, rows: breachRows } of checked(report)) {
    lines.push(
      count === 0 ? `  ok      ${holds}` : `  BREACH  ${holds}: ${count} ${count === 1 ? 'breach' : 'breaches'}`,
    )
    for (const row of breachRows) lines.push(`            ${rowText(row)}`)
    if (count > breachRows.length && breachRows.length > 0) lines.push(`            and more`)
  }
  for (const sentence of notChecked) lines.push('', `not everything could be checked: ${sentence}`)
  lines.push('', `${verdicts[report.verdict]} (${(tookMs / 1_000).toFixed(1)} s)`)
  return `${lines.join('\n')}\n`
}

function retiredText({ days, first, last, attempts }: RetiredDays): string {
  const which = days === 1 ? `the day ${first} is retired` : `${days} days are retired, from ${first} to ${last}`
  return `${which}: the rows of ${attempts} of these attempts are gone, and the counts that were kept vouch for them`
}

const verdicts = {
  passed: 'PASSED: Redis and Postgres agree, and every attempt is on record exactly once',
  breached: 'BREACHED: see above',
  incomplete: 'INCOMPLETE: nothing is wrong in what could be checked, but not everything could be',
} as const satisfies Record<AuditVerdict, string>

const states = {
  compared: '',
  not_drained: 'not drained: compared in part',
  postgres_alone: 'not in Redis when it was read: Postgres alone',
} as const satisfies Record<SaleReport['state'], string>

function saleCells({ sale, state, opensAtMs, items, redis, postgres }: SaleReport): string[] {
  return [
    String(sale),
    opensAtMs === undefined ? '?' : isoTime(opensAtMs).slice(0, 19).replace('T', ' '),
    String(items ?? '?'),
    String(redis?.sold ?? '-'),
    String(postgres.purchases),
    String(redis?.held ?? '-'),
    String(redis?.attempts ?? '-'),
    String(postgres.attempts),
    states[state],
  ]
}

function rowText(row: BreachRow): string {
  return Object.entries(row)
    .map(([name, value]) => `${name}=${typeof value === 'string' && /\s/.test(value) ? JSON.stringify(value) : value}`)
    .join(' ')
}

function checked({ breaches, wholeRecord, logs }: AuditReport) {
  const isShown = (name: Check) =>
    (wholeRecord || !wholeRecordChecks.has(name)) && (logs.length > 1 || !rightsChecks.has(name))
  const names = (Object.keys(checks) as Check[]).filter(isShown)
  return names.map((check) => ({ check, holds: checks[check], ...breaches.of(check) }))
}

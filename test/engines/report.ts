import { textTable } from '../../core/text-table.mjs'
import type { EngineId } from './engines.ts'
import { engines } from './engines.ts'
import { concerns, type GroupName } from './groups.ts'
import type { GroupResult } from './run-group.ts'

export interface EngineReport {
  readonly id: EngineId
  /** Why it could not be tested. */
  readonly obstacle?: string
  readonly results: ReadonlyMap<GroupName, GroupResult>
}

/** What the engine and its companion said of themselves while their tests ran. */
function versionsOf({ id, results }: EngineReport): { tested: string; other: string } {
  const said = results.get('start')?.versions
  const { service } = engines[id]
  return { tested: said?.get(service) ?? '', other: said?.get(service === 'redis' ? 'postgres' : 'redis') ?? '' }
}

/** Why an engine's results are not what was asked for, as sentences; empty when all is well. */
export function problemsOf(report: EngineReport): string[] {
  const { id, obstacle, results } = report
  if (obstacle !== undefined) return [`${id}: ${obstacle}`]
  const { tested } = versionsOf(report)
  const problems = [...results]
    .filter(([, { passed, failed }]) => failed > 0 || passed === 0)
    .map(([name, { passed, failed }]) => `${id}: ${name}: ${failed} of ${passed + failed} tests failed`)
  if (tested.startsWith(engines[id].version)) return problems
  return [
    ...problems,
    `${id}: the tests ran on ${tested || 'an engine that did not start'}, not on ${engines[id].version}x`,
  ]
}

/** A line for each engine, a column for each group: tests passed and failed, `-` where the engine isn't used. */
export function tableOf(reports: readonly EngineReport[], names: readonly GroupName[]): string[] {
  const head = ['engine', 'as it says itself', 'beside it', ...names]
  const rows = reports.map((report) => {
    const { tested, other } = versionsOf(report)
    return [report.id, tested, other, ...names.map((name) => cell(report, name))]
  })
  return textTable(head, rows, { left: head.map((_, at) => at) })
}

function cell({ id, results }: EngineReport, name: GroupName): string {
  if (!concerns(name, engines[id].service)) return '-'
  const result = results.get(name)
  return result === undefined ? 'not run' : `${result.passed}/${result.failed}`
}

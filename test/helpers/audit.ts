import { fileURLToPath } from 'node:url'

import type { AuditVerdict } from '../../core/audit-verdict.ts'
import { runTool, type ToolRun } from './tool.ts'

const executable = fileURLToPath(new URL('../../ops/tools/audit/main.js', import.meta.url))

/** The report as `--json` gives it, as far as tests look at it. */
export interface AuditJson {
  readonly verdict: AuditVerdict | 'failed'
  readonly log: { readonly offset: string; readonly last: string; readonly backlog_entries: number }
  /** Where there are several shards. */
  readonly logs?: readonly { readonly shard: number; readonly offset: string; readonly last: string }[]
  readonly attempts: number | null
  readonly retired: { readonly days: number; readonly first: string; readonly attempts: number } | null
  readonly unlisted: { readonly redis: number; readonly postgres: number }
  readonly sales: readonly {
    readonly sale: number
    readonly state: string
    readonly items: number | null
    readonly redis: { readonly sold: number; readonly held: number; readonly attempts: number } | null
    readonly postgres: {
      readonly purchases: number
      readonly attempts: number
      readonly outcomes: Readonly<Record<string, number>>
    }
  }[]
  readonly checks: readonly {
    readonly check: string
    readonly breaches: number
    readonly rows: readonly Readonly<Record<string, string | number | null>>[]
  }[]
  readonly not_checked: readonly string[]
  readonly fault?: { readonly code: string | null; readonly message: string }
}

/** Runs the audit as a user would, in a folder without a .env file. */
export async function runAudit(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  onStderr?: (text: string) => void,
): Promise<ToolRun> {
  return await runTool(executable, env, args, onStderr)
}

export async function runAuditJson(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<AuditJson & { readonly status: number | null }> {
  const { status, stdout, stderr } = await runAudit(env, ['--json', ...args])
  if (stdout === '') throw new Error(`the audit said nothing but: ${stderr}`)
  return { status, ...(JSON.parse(stdout) as AuditJson) }
}

/** Check -> the first rows that it found to be wrong. */
export function breachesIn({ checks }: AuditJson): Record<string, AuditJson['checks'][number]['rows']> {
  return Object.fromEntries(checks.filter(({ breaches }) => breaches > 0).map(({ check, rows }) => [check, rows]))
}

import { loadConfig } from '../../core/config/load.ts'
import { auditCommand, exitStatus } from '../../ops/tools/audit/command.ts'
import { reportAsJson } from '../../ops/tools/audit/report.ts'
import { type AuditAsked, runAudit } from '../../ops/tools/audit/run.ts'
import type { AuditJson } from './audit.ts'

/**
 * The audit without a process of its own, which costs more than a small record does. Only on the main thread of a test
 * file, and never through a proxy of the file's own to Postgres: this thread stands still while Postgres is asked.
 */
export async function auditHere(
  env: Readonly<Record<string, string>>,
  asked: Partial<AuditAsked> = {},
): Promise<AuditJson & { readonly status: number }> {
  const { sale, waitSeconds = auditCommand.options.waitSeconds.default } = asked
  const report = await runAudit(loadConfig({ env }), { sale, waitSeconds }, () => undefined)
  return { status: exitStatus[report.verdict], ...(JSON.parse(reportAsJson(report)) as AuditJson) }
}

import type { Postgres } from '../../../core/postgres/connection.ts'
import { type AuditReport, firstLog } from './report.ts'

/** Puts what the audit found on record, where the API shows it. @throws PostgresFault */
export function keepVerdict(postgres: Postgres, report: AuditReport, sale: number | undefined): void {
  const { verdict, startedAtMs } = report
  const { epoch, seq } = firstLog(report).offset
  postgres.query(
    'insert into audits (sale_id, verdict, started_at, epoch, seq) values ($1, $2, to_timestamp($3), $4, $5)',
    [sale ?? null, verdict, startedAtMs / 1_000, epoch, seq],
  )
}

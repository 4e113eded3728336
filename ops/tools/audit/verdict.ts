import type { Postgres } from '../../../core/postgres/connection.ts'
import type { AuditReport } from './report.ts'

/** Puts what the audit found on record, where the API shows it. @throws PostgresFault */
export function keepVerdict(postgres: Postgres, report: AuditReport, sale: number | undefined): void {
  const { verdict, startedAtMs, log } = report
  postgres.query(
    'insert into audits (sale_id, verdict, started_at, epoch, seq) values ($1, $2, to_timestamp($3), $4, $5)',
    [sale ?? null, verdict, startedAtMs / 1_000, log.offset.epoch, log.offset.seq],
  )
}

/** What an audit finds, as Postgres keeps it. incomplete: nothing is wrong in what could be checked. */
export const auditVerdicts = ['passed', 'breached', 'incomplete'] as const
export type AuditVerdict = (typeof auditVerdicts)[number]

import type { Admission } from '../../../core/recovery/admission.ts'

export const exitStatus = { whole: 0, refused: 1, notYet: 2, failed: 3 } as const
type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus]

/** What tells the most of several shards comes first. */
const inOrder: readonly ExitStatus[] = [exitStatus.refused, exitStatus.failed, exitStatus.notYet]

export interface ReportOptions {
  readonly say: (text: string) => void
  /** How many shards there are. */
  readonly count: number
}

/** Says what came of each shard. @returns the exit status */
export function report(admissions: readonly Admission[] | 'busy', { say, count }: ReportOptions): ExitStatus {
  if (admissions === 'busy') return exitStatus.notYet
  for (const admission of admissions) say(`${sentenceOf(admission, count)}${adviceFor(admission)}`)
  const statuses = new Set(admissions.map(statusOf))
  return inOrder.find((status) => statuses.has(status)) ?? exitStatus.whole
}

export function statusOf(admission: Admission): ExitStatus {
  switch (admission.kind) {
    case 'unneeded':
    case 'begun':
    case 'admitted':
    case 'rebuilt':
    case 'declared_lost':
      return exitStatus.whole
    case 'waits':
    case 'undrained':
      return exitStatus.notYet
    case 'out':
      return admission.fault.code === 'HC_REDIS_UNAVAILABLE' ? exitStatus.failed : exitStatus.refused
  }
}

export function sentenceOf(admission: Admission, count: number): string {
  return `${count > 1 ? `shard ${admission.shard}: ` : ''}${whatCame(admission)}`
}

function adviceFor({ kind }: Admission): string {
  return kind === 'undrained' ? '. Start one, or wait longer, and run this again' : ''
}

function whatCame(admission: Admission): string {
  switch (admission.kind) {
    case 'rebuilt': {
      const { sales, sold, held, epoch, seconds } = admission
      const what = `${sales.length} live sales with ${sold} items sold and ${held} held`
      return `rebuilt ${what} in ${seconds.toFixed(1)} s. Redis decides again, in epoch ${epoch}`
    }
    case 'begun':
      return 'both Redis and Postgres were empty: they are a new record now'
    case 'admitted':
      return `Redis has everything that is on record. It decides from now on, in epoch ${admission.epoch}`
    case 'unneeded':
      return 'Redis has everything that is on record: nothing to do'
    case 'undrained':
      return `${admission.entries} log entries in Redis are not in Postgres yet: a running server copies them`
    case 'declared_lost':
      return 'declared lost: it comes back by a rebuild, once its Redis can be reached'
    case 'waits':
    case 'out':
      return `${admission.fault.code}: ${admission.fault.message}`
  }
}

import type { AuditVerdict } from '../../../core/audit-verdict.ts'
import { type Command, type Options, wholeNumber } from '../../../core/command-line.mjs'
import { auditWaitSecondsDefault } from '../../limits.ts'

export const exitStatus = { passed: 0, breached: 1, incomplete: 2, failed: 3 } as const satisfies Record<
  AuditVerdict | 'failed',
  number
>

export const auditCommand = {
  name: 'npm run audit',
  purpose: `Compares what Redis has sold with what Postgres has on record. It may run beside a server that is selling: Redis is
    read first, then Postgres is given time to get there, and is compared up to there.

    The settings are the server's: environment and .env, see npm start -- --help.`,
  options: {
    sale: { value: 'N', read: wholeNumber(), doc: "look at this sale only; the log's places are not checked then" },
    waitSeconds: {
      flag: 'wait-seconds',
      value: 'N',
      read: wholeNumber(),
      default: auditWaitSecondsDefault,
      doc: 'how long Postgres may take to get to where Redis was',
    },
    json: { doc: 'a report for machines on standard output; npm writes there too, unless it is npm run --silent' },
    out: {
      value: 'FILE',
      read: String,
      doc: 'the report for machines goes there, once it is whole, in the place of what was there; people read theirs as ever',
    },
  },
  exits: {
    0: 'everything was checked and holds',
    1: 'something is wrong: each breach is spelt out',
    2: 'nothing is wrong in what could be checked, but Postgres has not got all of the log',
    3: 'it could not be checked: wrong settings or arguments, no such sale, Redis or Postgres cannot be read',
  },
  usageStatus: 3,
} satisfies Command<Options>

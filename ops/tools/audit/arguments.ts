import { parseArgs } from 'node:util'
import { auditWaitSecondsDefault } from '../../../core/limits.ts'

export interface AuditArguments {
  readonly help: boolean
  readonly json: boolean
  readonly sale: number | undefined
  readonly waitSeconds: number
}

export const helpText = `usage: npm run audit -- [options]

Compares what Redis has sold with what Postgres has on record. It may run beside a server that is selling: Redis is read
first, then Postgres is given time to get there, and is compared up to there.

  --sale N           look at this sale only; the log's places are not checked then
  --wait-seconds N   how long Postgres may take to get to where Redis was (default ${auditWaitSecondsDefault})
  --json             a report for machines
  --help             this text

The settings are the server's: environment and .env, see npm start -- --help.

exit status
  0  everything was checked and holds
  1  something is wrong: each breach is spelt out
  2  nothing is wrong in what could be checked, but Postgres has not got all of the log
  3  it could not be checked: wrong settings or arguments, no such sale, Redis or Postgres cannot be read
`

/** @throws Error with a sentence for people */
export function parseArguments(args: readonly string[]): AuditArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      json: { type: 'boolean', default: false },
      sale: { type: 'string' },
      'wait-seconds': { type: 'string', default: String(auditWaitSecondsDefault) },
    },
  })
  return {
    help: values.help,
    json: values.json,
    sale: values.sale === undefined ? undefined : wholeNumber('--sale', values.sale),
    waitSeconds: wholeNumber('--wait-seconds', values['wait-seconds'] ?? ''),
  }
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`${name} must be a whole number`)
  return Number(text)
}

import { parseArgs } from 'node:util'
import { recoverWaitSecondsDefault } from '../../../core/limits.ts'

interface RecoverArguments {
  readonly help: boolean
  readonly waitSeconds: number
}

export const helpText = `usage: npm run recover -- [options]

Rebuilds the live sales in Redis from Postgres, if Redis was emptied, is an older copy, or lacks what was answered; with
APP_RECOVERY=manual that is for you to say. Until it has ended nothing is sold; a running server goes on by itself then.
It may be run at any time and be cut short at any time: a Redis that has everything is left alone.

What Redis had and Postgres had not is lost by it. If the right data of Redis can still be had, restore them instead.

  --wait-seconds N   how long a server may take to copy what is still in Redis' log to Postgres (default ${recoverWaitSecondsDefault})
  --help             this text

The settings are the server's: environment and .env, see npm start -- --help.

exit status
  0  Redis has everything that is on record: it was rebuilt, or did not need it
  1  nothing was done: Redis and Postgres are no two halves of one record, or it is Postgres that lacks something
  2  nothing was done: another recovery is at work, or Redis' log has entries that Postgres lacks and no server copies
  3  it failed: wrong settings or arguments, Redis or Postgres cannot be reached
`

/** @throws Error with a sentence for people */
export function parseArguments(args: readonly string[]): RecoverArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      'wait-seconds': { type: 'string', default: String(recoverWaitSecondsDefault) },
    },
  })
  const seconds = values['wait-seconds']
  if (!/^\d{1,9}$/.test(seconds)) throw new Error('--wait-seconds must be a whole number')
  return { help: values.help, waitSeconds: Number(seconds) }
}

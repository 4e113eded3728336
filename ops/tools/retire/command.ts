import { type Command, type Options, UsageError } from '../../../core/command-line.mjs'
import { msPerDay } from '../../../core/time.ts'

export const exitStatus = { done: 0, failed: 1, needed: 3, unsound: 4, archive: 5 } as const

export const retireCommand = {
  name: 'npm run retire',
  purpose: `Takes the attempts of days that are over out of Postgres, the oldest day first: the partitions of its tables, each of
    which holds a day (UTC). With --archive they are written into compressed files first, which are read back and compared
    with the tables. Counts of each sale are kept, so GET /sales/{id} and the audit say of old sales what they said before.
    Purchases and sales stay. It may run beside servers that sell.

    Each day is gone in one step or not at all. Whatever ends the command, run it again: it goes on with what is there.

    The settings are the server's: environment and .env, see npm start -- --help. It has to be the owner of the tables
    (DB_OWNER_USER), and asks Redis which days are still needed.`,
  options: {
    before: { value: 'DATE', read: utcDay, doc: 'days that end before this one, as 2026-11-26; needed' },
    archive: { value: 'DIR', read: folder, doc: 'write each day into this folder first; it must be there' },
    drop: { doc: 'write no archive: the rows are gone for good' },
    dryRun: { flag: 'dry-run', doc: 'say which days would go, with their rows and bytes, and change nothing' },
    verify: {
      value: 'DIR',
      read: folder,
      doc: 'instead of all that: read the archives in this folder, and compare them with their manifests',
    },
  },
  exits: {
    0: 'done; or there was nothing to do',
    1: 'failed or interrupted: settings, rights, Postgres, Redis or the disk; days that it has named as retired are',
    2: 'wrong arguments',
    3: 'not done: the log, or a sale that is not over or that Redis still lists, needs one of these days',
    4: 'a day is left as it is, because its rows are not what was decided: npm run audit says more',
    5: 'an archive is damaged, another one is in its place, or its folder is not there',
  },
} satisfies Command<Options>

/** The first moment of a day, ms since the epoch. Which day it is today nobody asks here. */
function utcDay(text: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  // Date.parse takes 2026-02-30 for the second of March in some versions of Node, and refuses it in others.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text))
    throw new UsageError('must be a day, like 2026-11-26')
  const today = Math.floor(Date.now() / msPerDay) * msPerDay
  if (ms >= today) throw new UsageError('must be a day that is over, by UTC')
  return ms
}

function folder(text: string): string {
  if (text === '' || text.includes('\0')) throw new UsageError('must be the name of a folder')
  return text
}

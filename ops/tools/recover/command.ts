import { type Command, type Options, wholeNumber } from '../../../core/command-line.mjs'
import { recoverWaitSecondsDefault } from '../../../core/limits.ts'

export const recoverCommand = {
  name: 'npm run recover',
  purpose: `Rebuilds the live sales in Redis from Postgres, if Redis was emptied, is an older copy, or lacks what was answered;
    with APP_RECOVERY=manual that is for you to say. Until it has ended nothing is sold; a running server goes on by itself
    then. It may be run at any time and be cut short at any time: a Redis that has everything is left alone.

    What Redis had and Postgres had not is lost by it. If the right data of Redis can still be had, restore them instead.

    The settings are the server's: environment and .env, see npm start -- --help.`,
  options: {
    waitSeconds: {
      flag: 'wait-seconds',
      value: 'N',
      read: wholeNumber({ max: 999_999_999 }),
      default: recoverWaitSecondsDefault,
      doc: "how long a server may take to copy what is still in Redis' log to Postgres",
    },
  },
  exits: {
    0: 'Redis has everything that is on record: it was rebuilt, or did not need it',
    1: "nothing was done: Redis and Postgres don't belong together, or it is Postgres that lacks something",
    2: "nothing was done: another recovery is at work, or Redis' log has entries that Postgres lacks and no server copies",
    3: 'it failed: wrong settings or arguments, Redis or Postgres cannot be reached',
  },
  usageStatus: 3,
} satisfies Command<Options>

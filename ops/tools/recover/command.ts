import { type Command, type Options, wholeNumber } from '../../../core/command-line.mjs'
import { shardsMax } from '../../../core/limits.ts'
import { recoverWaitSecondsDefault } from '../../limits.ts'

export const recoverCommand = {
  name: 'npm run recover',
  purpose: `Rebuilds the live sales in Redis from Postgres, if Redis was emptied, is an older copy, or lacks what was answered;
    with APP_RECOVERY=manual that is for you to say. Until it has ended nothing is sold; a running server goes on by itself
    then. It may be run at any time and be cut short at any time: a Redis that has everything is left alone. With several shards
    only what has lost something is rebuilt, and the others go on selling.

    It also lets a Redis decide in whose place another one was admitted, once that one is gone.

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
    shard: {
      value: 'N',
      read: wholeNumber({ max: shardsMax - 1 }),
      doc: `declares a shard lost whose Redis can't be reached: what of its log is not in Postgres is given up at once, shards that
        wait for it go on without it, and it comes back by a rebuild`,
    },
  },
  exits: {
    0: 'Redis has everything that is on record: it was rebuilt, or did not need it',
    1: "nothing was done: Redis and Postgres don't belong together, it is Postgres that lacks something, or the shard can be reached",
    2: "nothing was done: another recovery is at work, Redis' log has entries that Postgres lacks and no server copies, or shards wait for others",
    3: 'it failed: wrong settings or arguments, Redis or Postgres cannot be reached',
  },
  usageStatus: 3,
} satisfies Command<Options>

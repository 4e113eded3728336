import { type Command, type Options, UsageError, wholeNumber } from '../../../core/command-line.mjs'
import { nodesProblem } from '../../../core/config/cluster-nodes.ts'
import { shardsMax } from '../../../core/limits.ts'
import { moveWaitSecondsDefault } from '../../limits.ts'

export const exitStatus = { moved: 0, refused: 1, closed: 3 } as const

export const moveShardCommand = {
  name: 'npm run move-shard',
  purpose: `Moves a shard with its data to another master of the Redis or Valkey Cluster, beside servers that sell. The shard is
    closed meanwhile (its items are answered 503), and the others sell on: it is fenced off, its log is drained into Postgres,
    its keys are moved, and it is admitted where it is then. Nothing of it is lost. It says for how long the shard was closed.

    The target is a master of the cluster, or an empty node that was started for it: that one is introduced to the others.

    It may be broken off at any time, and run again with the same target: it goes on where it was. Ctrl+C before the first key
    has moved goes back; later it moves the rest, and a second Ctrl+C ends it at once.

    The settings are the server's, environment and .env, with REDIS_USER and REDIS_PASSWORD of an administrator at each node, or of
    hotcakes_move of ops/deploy/redis/move-user.acl.`,
  options: {
    shard: { value: 'N', read: wholeNumber({ max: shardsMax - 1 }), doc: 'the shard that moves, from 0 on' },
    to: {
      value: 'HOST:PORT',
      read: (text) => {
        const problem = text.includes(',') ? 'name one node' : nodesProblem(text)
        if (problem !== undefined) throw new UsageError(problem)
        return text
      },
      doc: 'the master that it moves to',
    },
    waitSeconds: {
      flag: 'wait-seconds',
      value: 'N',
      read: wholeNumber({ max: 3_000 }),
      default: moveWaitSecondsDefault,
      doc: "how long a server may take to copy the log to Postgres; and after the move, until the shard decides. A shard whose log isn't drained by then stays where it is",
    },
  },
  exits: {
    0: 'the shard is there, and decides',
    1: 'it was not moved, and decides where it was: it says why',
    2: 'wrong arguments',
    3: 'the move is under way, or nobody could admit the shard where it is now: run it again',
  },
} satisfies Command<Options>

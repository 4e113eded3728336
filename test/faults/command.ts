import {
  type Command,
  described,
  type Options,
  oneOf,
  someOf,
  UsageError,
  wholeNumber,
} from '../../core/command-line.mjs'
import { shardsMax } from '../../core/limits.ts'
import { nineDigits, seedOption } from '../helpers/seed.ts'
import { type FaultName, faultNames, faults } from './faults.ts'

const acks = ['redis', 'replica', 'postgres'] as const
type Ack = (typeof acks)[number]

/** Those that mean something there. */
export function possibleAcks(shards: number): Ack[] {
  return acks.filter((ack) => ack !== 'replica' || shards > 1)
}

export const abortedStatus = 130

export const faultsCommand = {
  name: 'npm run test:faults',
  purpose: `Shoppers buy from a real server while its processes, its Redis, its Postgres and the network between them are broken
    and made whole again. After each round everything that the shoppers were told is held against the log's order, the rows
    in Postgres and the state of Redis.

    A round depends on its seed, --kinds, --ack and --shards: with the same, --seed S --rounds 1 repeats it, as far as processes repeat
    themselves.`,
  options: {
    rounds: { value: 'N', read: nineDigits, default: 20, doc: 'how many' },
    seed: seedOption('of the first round; each next round has the next number'),
    kinds: {
      value: 'A,B,...',
      read: someOf(faultNames),
      defaultMeans: 'all that this machine can do',
      doc: 'only these faults',
    },
    shards: {
      value: 'N',
      read: wholeNumber({ min: 1, max: shardsMax }),
      default: 1,
      doc: 'of the sale; above 1 Redis is a cluster of so many masters, with a replica each',
    },
    ack: {
      value: 'WHEN',
      read: oneOf(acks),
      defaultMeans: 'each in turn',
      doc: 'APP_ACK of the server: redis, postgres, or in a cluster replica',
    },
  },
  notes: ['kinds', ...described(faultNames.map((name) => ({ name, text: faults[name].about })))].join('\n'),
  exits: {
    0: 'every promise held in every round',
    1: 'one did not, or a server did not recover: each breach is spelt out',
    [abortedStatus]: 'a second Ctrl+C ended it',
  },
} satisfies Command<Options>

/** The faults that this machine can do. @param shards above one: in a cluster */
export function possibleKinds(shards: number): FaultName[] {
  return faultNames.filter((name) => obstacleOf(name, shards) === undefined)
}

/** @throws UsageError when this machine can't do one of them */
export function assertPossible(kinds: readonly FaultName[], shards: number, ack?: Ack): void {
  if (ack !== undefined && !possibleAcks(shards).includes(ack)) throw new UsageError(`${ack} takes a cluster: --shards`)
  for (const name of kinds) {
    const obstacle = obstacleOf(name, shards)
    if (obstacle !== undefined) throw new UsageError(`${name} can't be done here: ${obstacle}`)
  }
}

/** Why a fault can't be done; undefined when it can. */
export function obstacleOf(name: FaultName, shards: number): string | undefined {
  const { on, obstacle } = faults[name]
  if (on === 'single' && shards > 1) return 'it takes one Redis alone'
  if (on === 'cluster' && shards === 1) return 'it takes a cluster: --shards'
  return obstacle?.()
}

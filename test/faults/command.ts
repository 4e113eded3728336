import { type Command, described, type Options, oneOf, someOf, UsageError } from '../../core/command-line.mjs'
import { nineDigits, seedOption } from '../helpers/seed.ts'
import { type FaultName, faultNames, faults } from './faults.ts'

export const acks = ['redis', 'postgres'] as const

export const faultsCommand = {
  name: 'npm run test:faults',
  purpose: `Shoppers buy from a real server while its processes, its Redis, its Postgres and the network between them are broken
    and made whole again. After each round everything that the shoppers were told is held against the log's order, the rows
    in Postgres and the state of Redis.

    A round depends on its seed, --kinds and --ack: with the same, --seed S --rounds 1 repeats it, as far as processes repeat
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
    ack: {
      value: 'WHEN',
      read: oneOf(acks),
      defaultMeans: 'each in turn',
      doc: 'APP_ACK of the server, redis or postgres',
    },
  },
  notes: ['kinds', ...described(faultNames.map((name) => ({ name, text: faults[name].about })))].join('\n'),
  exits: {
    0: 'every promise held in every round',
    1: 'one did not, or a server did not recover: each breach is spelt out',
  },
} satisfies Command<Options>

/** The faults that this machine can do. */
export function possibleKinds(): FaultName[] {
  return faultNames.filter((name) => faults[name].obstacle?.() === undefined)
}

/** @throws UsageError when this machine can't do one of them */
export function assertPossible(kinds: readonly FaultName[]): void {
  for (const name of kinds) {
    const obstacle = faults[name].obstacle?.()
    if (obstacle !== undefined) throw new UsageError(`${name} can't be done here: ${obstacle}`)
  }
}

import { parseArgs } from 'node:util'

import type { Evidence } from './evidence.ts'
import { type FaultName, faultNames, faults } from './faults.ts'

export interface FaultArguments {
  readonly help: boolean
  readonly rounds: number
  readonly seed: number
  readonly kinds: readonly FaultName[]
  readonly acks: readonly Evidence['ack'][]
}

const roundsDefault = 20
export const acks = ['redis', 'postgres'] as const

export const helpText = `usage: npm run test:faults -- [options]

Shoppers buy from a real server while its processes, its Redis, its Postgres and the network between them are broken and
made whole again. After each round everything that the shoppers were told is held against the log's order, the rows in
Postgres and the state of Redis.

  --rounds N       how many (default ${roundsDefault})
  --seed S         of the first round (default: from the clock); each next round has the next number
  --kinds A,B,...  only these faults (default: all that this machine can do)
  --ack WHEN       APP_ACK of the server, redis or postgres (default: each in turn)
  --help           this text

A round depends on its seed, --kinds and --ack: with the same, --seed S --rounds 1 repeats it, as far as processes repeat
themselves.

kinds
${faultNames.map((name) => `  ${name.padEnd(20)}${faults[name].about}`).join('\n')}

exit status
  0  every promise held in every round
  1  one did not, or a server did not recover: each breach is spelt out
  2  wrong arguments
`

/** @throws Error with a sentence for people */
export function parseArguments(args: readonly string[]): FaultArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      rounds: { type: 'string', default: String(roundsDefault) },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      kinds: { type: 'string' },
      ack: { type: 'string' },
    },
  })
  return {
    help: values.help,
    rounds: wholeNumber('--rounds', values.rounds),
    seed: wholeNumber('--seed', values.seed),
    kinds: values.kinds === undefined ? possibleKinds() : values.kinds.split(',').map(readKind),
    acks: values.ack === undefined ? acks : [readAck(values.ack)],
  }
}

/** The faults that this machine can do. */
export function possibleKinds(): FaultName[] {
  return faultNames.filter((name) => faults[name].obstacle?.() === undefined)
}

function readKind(name: string): FaultName {
  const known = faultNames.find((one) => one === name)
  if (known === undefined) throw new Error(`there is no fault ${name}; --help lists them`)
  const obstacle = faults[known].obstacle?.()
  if (obstacle !== undefined) throw new Error(`${known} can't be done here: ${obstacle}`)
  return known
}

function readAck(text: string): Evidence['ack'] {
  const known = acks.find((one) => one === text)
  if (known === undefined) throw new Error(`--ack must be one of ${acks.join(', ')}`)
  return known
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name} must be a whole number of at most 9 digits`)
  return Number(text)
}

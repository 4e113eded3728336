// What the candidates work on: a sale's traffic as buyers would make it, the same in every run.

import { Packr } from 'msgpackr'
import { BatchWriter } from '../../core/decisions.ts'
import { nonceLength } from '../../core/ids.ts'
import { type Outcome, outcomes } from '../../core/outcomes.ts'
import type { LogEntry } from '../../workers/log-reader.ts'
import { SeededRandom } from '../harness/seeded-random.ts'

/** The number of an hourly sale of these years, and what belongs to one. */
export const saleSample = 489_123
export const intervalMs = 3_600_000
export const holdMs = 600_000
export const nowMs = 1_760_842_800_123

const items = 10_000
const users = 200_000

export interface SampleCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  /** '' makes it a purchase. */
  readonly user: string
}

/** What was decided, with the details that its outcome has. */
export interface SampleDecision {
  readonly outcome: Outcome
  readonly nonce?: string
  readonly user?: string
  readonly ms?: number
}

const nonceAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** `purchaseShare`: of 1. */
export function sampleCommands(count: number, { purchaseShare = 0, seed = 1 } = {}): SampleCommand[] {
  const dice = new SeededRandom(seed)
  return Array.from({ length: count }, () => {
    const index = String(1 + dice.below(items))
    const nonce = Array.from({ length: nonceLength }, () => nonceAlphabet[dice.below(64)]).join('')
    const user = dice.below(1_000) < purchaseShare * 1_000 ? '' : `user-${dice.below(users)}`
    return { sale: saleSample, index, nonce, user }
  })
}

/** Of ten checkouts six get their item, one is repeated, and of ten purchases nine succeed. */
export function sampleDecisions(commands: readonly SampleCommand[], seed = 2): SampleDecision[] {
  const dice = new SeededRandom(seed)
  return commands.map(({ nonce, user }) => {
    const fate = dice.below(10)
    if (user === '') {
      if (fate < 8) return { outcome: 'purchased', user: `user-${dice.below(users)}` }
      if (fate < 9) return { outcome: 'purchased_again', user: `user-${dice.below(users)}`, ms: dice.below(60_000) }
      return { outcome: 'code_expired' }
    }
    if (fate < 6) return { outcome: 'held', ms: holdMs }
    if (fate < 7) return { outcome: 'held_again', nonce, ms: dice.below(holdMs) }
    if (fate < 9) return { outcome: 'item_held', ms: dice.below(holdMs) }
    return { outcome: 'item_sold' }
  })
}

/**
 * The text as a request brings it, its characters side by side. What JavaScript has put together is a tree of pieces
 * inside, and reading that costs several times as much.
 */
export function received(text: string): string {
  return Buffer.from(text).toString('latin1')
}

export function encodeBatch(commands: readonly SampleCommand[]): Buffer {
  const writer = new BatchWriter(intervalMs)
  for (const { sale, index, nonce, user } of commands) writer.add(sale, index, nonce, user)
  return writer.encode().entry
}

const packr = new Packr({ useRecords: false })

const [array16, uint64] = [0xdc, 0xcf]

/** As Redis packs them: there a time is an unsigned integer of 8 bytes; here a bigint would become a signed one. */
export function encodeDecisions(decisions: readonly SampleDecision[]): Buffer {
  const details = decisions.flatMap(({ outcome, nonce, user, ms }) =>
    [outcomes[outcome].code, nonce, user, ms].filter((value) => value !== undefined),
  )
  const encoded = Buffer.from(packr.pack([BigInt(nowMs), ...details]))
  encoded[encoded[0] === array16 ? 3 : 1] = uint64
  return encoded
}

/** `commandCount` commands in entries of `perEntry`, as the persister reads them from the log. */
export function sampleEntries(commandCount: number, perEntry: number, purchaseShare = 0): LogEntry[] {
  return Array.from({ length: Math.ceil(commandCount / perEntry) }, (_, at) => {
    const length = Math.min(perEntry, commandCount - at * perEntry)
    const commands = sampleCommands(length, { purchaseShare, seed: at })
    const results = encodeDecisions(sampleDecisions(commands, at))
    return { position: { epoch: 1, seq: at + 1 }, kind: 'batch', message: encodeBatch(commands), results }
  })
}

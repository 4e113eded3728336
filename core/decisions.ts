import { Packr, Unpackr } from 'msgpackr'
import { Fault } from './faults.ts'
import { type Outcome, outcomeByCode } from './outcomes.ts'

/**
 * The wire format of a batch of commands and of the decisions on it, as core/redis/functions/decide.lua reads and writes them.
 * The log keeps both as they were, so the HTTP worker (for its replies) and the persister (for its rows) read them
 * with the same code. Both are flat msgpack arrays: one array of a few hundred small values costs Lua half of what a
 * list of arguments costs, and an object a command would cost both sides an allocation more.
 */

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' })

const batchVersion = 1
const batchHeadLength = 2
const commandLength = 4

/** A batch under construction: what one function call will carry. */
export class BatchWriter {
  #flat: (number | string)[]

  constructor(intervalMs: number) {
    this.#flat = [batchVersion, intervalMs]
  }

  get commandCount(): number {
    return (this.#flat.length - batchHeadLength) / commandLength
  }

  /** `user` '' makes it a purchase with the code's nonce; otherwise a checkout, and `nonce` is the one to issue. */
  add(sale: number, index: string, nonce: string, user: string): void {
    this.#flat.push(sale, index, nonce, user)
  }

  encode(): Buffer {
    return packr.pack(this.#flat)
  }
}

/** A cursor over the commands of a batch: `next()` moves to the first and then to each following one. */
export class BatchReader {
  readonly commandCount: number
  sale = 0
  index = ''
  nonce = ''
  user = ''
  readonly #flat: (number | string)[]
  #at = batchHeadLength

  /** @throws Fault HC_LOG_MALFORMED when it is no batch of this version */
  constructor(encoded: Uint8Array) {
    this.#flat = unpackFlat(encoded)
    this.commandCount = (this.#flat.length - batchHeadLength) / commandLength
    if (this.#flat[0] !== batchVersion || !Number.isInteger(this.commandCount)) {
      throw new Fault(
        'HC_LOG_MALFORMED',
        `a batch has version ${numberOnly(this.#flat[0])} and ${this.#flat.length} values`,
      )
    }
  }

  next(): boolean {
    if (this.#at >= this.#flat.length) return false
    const flat = this.#flat
    this.sale = flat[this.#at] as number
    this.index = flat[this.#at + 1] as string
    this.nonce = flat[this.#at + 2] as string
    this.user = flat[this.#at + 3] as string
    this.#at += commandLength
    return true
  }
}

/**
 * A cursor over decisions, in the order of the batch's commands. After `next()`, `outcome` is set, and of the other
 * fields those that the outcome has as details in outcomes.ts; the rest keep an older value.
 */
export class DecisionReader {
  /** Redis' clock when the batch was decided, ms since the epoch. */
  readonly nowMs: number
  outcome: Outcome = 'item_unknown'
  nonce = ''
  user = ''
  /** When the hold expires, ms since the epoch (held, held_again, item_held). */
  expiresAtMs = 0
  /** When the item was purchased, ms since the epoch (purchased, purchased_again). */
  purchasedAtMs = 0
  readonly #flat: (number | string)[]
  #at = 1

  /** @throws Fault HC_LOG_MALFORMED when it is no msgpack array; what stands in it is looked at by `next()` */
  constructor(encoded: Uint8Array) {
    this.#flat = unpackFlat(encoded)
    this.nowMs = this.#flat[0] as number
  }

  /** @throws Fault HC_LOG_MALFORMED for an outcome that this version does not know */
  next(): boolean {
    const flat = this.#flat
    if (this.#at >= flat.length) return false
    const code = flat[this.#at++] as number
    const outcome = outcomeByCode[code]
    switch (outcome) {
      case undefined:
        throw new Fault('HC_LOG_MALFORMED', `no outcome has the code ${numberOnly(code)}`)
      case 'held_again':
        this.nonce = flat[this.#at++] as string
        this.expiresAtMs = this.nowMs + (flat[this.#at++] as number)
        break
      case 'held':
      case 'item_held':
        this.expiresAtMs = this.nowMs + (flat[this.#at++] as number)
        break
      case 'purchased':
        this.user = flat[this.#at++] as string
        this.purchasedAtMs = this.nowMs
        break
      case 'purchased_again':
        this.user = flat[this.#at++] as string
        this.purchasedAtMs = this.nowMs - (flat[this.#at++] as number)
        break
      default:
    }
    this.outcome = outcome
    return true
  }
}

/** The parameters of an opened sale, as the log and Redis hold them. Times in ms since the epoch. */
export interface SaleTerms {
  readonly sale: number
  readonly opensAtMs: number
  readonly closesAtMs: number
  readonly items: number
  readonly userLimit: number
  readonly holdMs: number
}

/** An `o` entry of the log. @throws Fault HC_LOG_MALFORMED when it is not seven numbers */
export function decodeOpenedSale(encoded: Uint8Array): SaleTerms & { readonly openedAtMs: number } {
  const flat = unpackFlat(encoded)
  const [sale, opensAtMs, closesAtMs, items, userLimit, holdMs, openedAtMs] = flat as number[]
  if (flat.length !== 7 || flat.some((value) => typeof value !== 'number')) {
    throw new Fault('HC_LOG_MALFORMED', 'an opened sale is not seven numbers')
  }
  return { sale, opensAtMs, closesAtMs, items, userLimit, holdMs, openedAtMs } as SaleTerms & { openedAtMs: number }
}

function unpackFlat(encoded: Uint8Array): (number | string)[] {
  let flat: unknown
  try {
    flat = unpackr.unpack(encoded)
  } catch (cause) {
    throw new Fault('HC_LOG_MALFORMED', 'a log entry is not msgpack', { cause })
  }
  if (!Array.isArray(flat)) throw new Fault('HC_LOG_MALFORMED', 'a log entry is not an array')
  return flat
}

/** What stands where a number should may be a buyer's id or code, which no message repeats. */
function numberOnly(value: number | string | undefined): string {
  return typeof value === 'number' ? String(value) : `of type ${typeof value}`
}

import { Packr, Unpackr } from 'msgpackr'
import { Fault } from './faults.ts'
import { nonceLength } from './ids.ts'
import { type Outcome, outcomeByCode, outcomes, type Reply, replies, replyByCode } from './outcomes.ts'

/**
 * The wire format of a batch of commands and of the decisions on it, as core/redis/functions/decide.lua reads and writes them.
 * The log keeps both, so the HTTP worker (for its replies) and the persister (for its rows) read them with the same code. Both
 * are flat msgpack arrays: an object a command would cost both sides an allocation more. What the log keeps of a batch is read
 * by other versions too, so its form stays; what the function gets besides is between it and the worker.
 */

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'number' })

const batchVersion = 1
/** Something stands behind a code: an older reader would take it for a part of the code, and has to stop. */
const codesVersion = 2
const batchHeadLength = 2
const commandLength = 4

/** In the place of a nonce: the command asks for one of its user's rights, for the shard whose number its index is. */
export const lendNonce = '-'.repeat(nonceLength)

/** A shard has said that it has lent another one so many of a user's rights, counted from the beginning. */
export interface Receipt {
  readonly from: number
  /** The lender's, when it said so. */
  readonly epoch: number
  readonly total: number
}

/** What goes behind the nonce of a checkout or of a loan: what its shard hears of others, and whether it has the last word. */
export function afterNonce(receipts: readonly Receipt[], { isLastWord = false } = {}): string {
  const texts = receipts.map(({ from, epoch, total }) => `;${from},${epoch},${total}`)
  return `${isLastWord ? '!' : ''}${texts.join('')}`
}

const releaseMark = '-'

/**
 * What goes behind the nonce of a code: '' to purchase it, without a buyer who has to be the one whose code it is.
 */
export function afterCode({ buyer, isRelease = false }: { buyer?: string | undefined; isRelease?: boolean }): string {
  return `${isRelease ? releaseMark : ''}${buyer === undefined ? '' : `@${buyer}`}`
}

/** @param nonce of a command whose user is '' */
export function isOfRelease(nonce: string): boolean {
  return nonce.length > nonceLength && nonce.startsWith(releaseMark, nonceLength)
}

/** What one function call carries. */
export interface EncodedBatch {
  /** As the log keeps it: for a BatchReader. */
  readonly entry: Buffer
  /** The same for the function: see functions/batch.lua. */
  readonly columns: Buffer
  /** Those that its commands name, each once: a cluster is told of their keys. */
  readonly sales: readonly number[]
}

type Kind = 'checkouts' | 'purchases' | 'releases' | 'sold'

/** Commands of one kind on one sale that stand together. */
interface Run {
  readonly sale: number
  readonly kind: Kind
  count: number
  readonly indexes: string[]
  nonces: string
  readonly users: string[]
  /** What follows each nonce; undefined: nothing so far. */
  additions: string[] | undefined
}

/**
 * A batch under construction. Commands of one kind on one sale should come together: each such run costs Redis two calls.
 * A batch is written twice, because both are cheap here, and in Redis it is neither to take it apart nor to put it together.
 */
export class BatchWriter {
  readonly #flat: (number | string)[]
  readonly #intervalMs: number
  readonly #soldInEpoch: number
  readonly #runs: Run[] = []

  /** @param soldInEpoch of the log: in which the items of `addSold` were sold */
  constructor(intervalMs: number, soldInEpoch = 0) {
    this.#intervalMs = intervalMs
    this.#soldInEpoch = soldInEpoch
    this.#flat = [batchVersion, intervalMs]
  }

  get commandCount(): number {
    return (this.#flat.length - batchHeadLength) / commandLength
  }

  /**
   * `user` '' makes it a purchase with the code's nonce, or its release: see afterCode. Otherwise it is a checkout, and `nonce`
   * is the one to issue, or a loan; in sales of several shards it may go on: see lendNonce and afterNonce.
   */
  add(sale: number, index: string, nonce: string, user: string): void {
    this.#flat.push(sale, index, nonce, user)
    if (nonce.length > nonceLength) {
      this.#addLong(sale, index, nonce, user)
      return
    }
    const run = this.#runOf(sale, user === '' ? 'purchases' : 'checkouts')
    addTo(run, index, user)
    run.nonces += nonce
    run.additions?.push('')
  }

  #addLong(sale: number, index: string, nonce: string, user: string): void {
    if (user === '') this.#flat[0] = codesVersion
    const isRelease = user === '' && isOfRelease(nonce)
    const run = this.#runOf(sale, isRelease ? 'releases' : user === '' ? 'purchases' : 'checkouts')
    addTo(run, index, user)
    run.nonces += nonce.slice(0, nonceLength)
    const addition = nonce.slice(nonceLength + (isRelease ? releaseMark.length : 0))
    if (addition !== '') run.additions ??= Array.from({ length: run.count - 1 }, () => '')
    run.additions?.push(addition)
  }

  /** A checkout that may be neither a loan nor have anything behind its nonce, of an item that was sold in that epoch. */
  addSold(sale: number, index: string, nonce: string, user: string): void {
    this.#flat.push(sale, index, nonce, user)
    this.#runOf(sale, 'sold').count += 1
  }

  #runOf(sale: number, kind: Kind): Run {
    const last = this.#runs.at(-1)
    if (last?.sale === sale && last.kind === kind) return last
    const run: Run = { sale, kind, count: 0, indexes: [], nonces: '', users: [], additions: undefined }
    this.#runs.push(run)
    return run
  }

  encode(): EncodedBatch {
    const columns: unknown[] = [this.#intervalMs, this.#soldInEpoch]
    for (const { sale, kind, count, indexes, nonces, users, additions } of this.#runs) {
      if (kind === 'sold') columns.push(sale, count, '', '', '')
      else columns.push(sale, indexes, nonces, kind === 'checkouts' ? users : usersOfCodes[kind], additions ?? '')
    }
    const sales = new Set(this.#runs.map(({ sale }) => sale))
    return { entry: packr.pack(this.#flat), columns: packr.pack(columns), sales: [...sales] }
  }
}

/** In the place of users. */
const usersOfCodes = { purchases: '', releases: releaseMark } as const

function addTo(run: Run, index: string, user: string): void {
  run.count += 1
  run.indexes.push(index)
  if (user !== '') run.users.push(user)
}

/** A cursor over the commands of a batch: `next()` moves to the first and then to each following one. */
export class BatchReader {
  readonly commandCount: number
  sale = 0
  /** Of the item; of a loan the number of the shard that asks. */
  index = ''
  nonce = ''
  user = ''
  /** Of a command without a user: it is no purchase. */
  isRelease = false
  readonly #flat: (number | string)[]
  #at = batchHeadLength

  /** @throws Fault HC_LOG_MALFORMED when it is no batch of this version */
  constructor(encoded: Uint8Array) {
    this.#flat = unpackFlat(encoded)
    this.commandCount = (this.#flat.length - batchHeadLength) / commandLength
    const [version] = this.#flat
    if ((version !== batchVersion && version !== codesVersion) || !Number.isInteger(this.commandCount)) {
      throw new Fault('HC_LOG_MALFORMED', `a batch has version ${numberOnly(version)} and ${this.#flat.length} values`)
    }
  }

  next(): boolean {
    if (this.#at >= this.#flat.length) return false
    const flat = this.#flat
    this.sale = flat[this.#at] as number
    this.index = flat[this.#at + 1] as string
    const nonce = flat[this.#at + 2] as string
    // Whatever stands there, if somebody else wrote it: its reader looks at the type.
    const isLong = typeof nonce === 'string' && nonce.length > nonceLength
    this.nonce = isLong ? nonce.slice(0, nonceLength) : nonce
    this.user = flat[this.#at + 3] as string
    this.isRelease = isLong && this.user === '' && isOfRelease(nonce)
    this.#at += commandLength
    return true
  }
}

/** The greatest number of rights that a shard has heard of from another one. */
export type Received = Omit<Receipt, 'epoch'>

const nothingReceived: readonly Received[] = []
const receivedCode = replies.received.code
const lentCode = replies.lent.code
const soldCodes: ReadonlySet<number> = new Set(
  [outcomes.item_sold, outcomes.purchased, outcomes.purchased_again, outcomes.release_sold].map(({ code }) => code),
)
/** Below it are the codes of outcomes. */
const firstReplyCode = lentCode

/**
 * A cursor over replies, in the order of the batch's commands. After `next()`, `reply` is set, and of the other fields those
 * that it has as details in outcomes.ts; the rest keep an older value.
 */
export class DecisionReader {
  /** Redis' clock when the batch was decided, ms since the epoch. */
  readonly nowMs: number
  /** What was decided on the attempt, if `isDecided`: otherwise it keeps an older value. */
  outcome: Outcome = 'item_unknown'
  nonce = ''
  user = ''
  /** When the hold expires, ms since the epoch (held, held_again, item_held). */
  expiresAtMs = 0
  /** When the item was purchased, ms since the epoch (purchased, purchased_again). */
  purchasedAtMs = 0
  /** Of the sale (misplaced). */
  shards = 0
  /** Of the lender (lent, not_lent). */
  epoch = 0
  /** What the lender has lent to each shard and got from it, by their numbers (lent, not_lent). */
  lent: readonly number[] = []
  got: readonly number[] = []
  /** What the command's receipts brought that was new. */
  received: readonly Received[] = nothingReceived
  readonly #flat: (number | string)[]
  #at = 1
  /** Of the reply. */
  #code: number = outcomes.item_unknown.code

  /** @throws Fault HC_LOG_MALFORMED when it is no msgpack array; what stands in it is looked at by `next()` */
  constructor(encoded: Uint8Array) {
    this.#flat = unpackFlat(encoded)
    this.nowMs = this.#flat[0] as number
  }

  get reply(): Reply {
    return replyByCode[this.#code] as Reply
  }

  /** Whether `reply` is what was decided on an attempt. */
  get isDecided(): boolean {
    return this.#code < firstReplyCode
  }

  /** Whether the reply says that the command's item was sold. */
  get isOfSoldItem(): boolean {
    return soldCodes.has(this.#code)
  }

  /** Whether the command has a place in the log entry: it has decided or changed something. */
  get isPlaced(): boolean {
    return this.isDecided || this.#code === lentCode || this.received.length > 0
  }

  /** @throws Fault HC_LOG_MALFORMED for a reply that this version does not know */
  next(): boolean {
    const flat = this.#flat
    if (this.#at >= flat.length) return false
    if (this.received !== nothingReceived) this.received = nothingReceived
    let code = flat[this.#at++] as number
    if (code === receivedCode) {
      this.received = parseReceived(flat[this.#at++])
      code = flat[this.#at++] as number
    }
    this.#code = code
    const outcome = outcomeByCode[code]
    switch (outcome) {
      case undefined:
        this.#takeUndecided(code)
        return true
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
      case 'released':
      case 'released_again':
        this.user = flat[this.#at++] as string
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

  #takeUndecided(code: number): void {
    const flat = this.#flat
    switch (replyByCode[code]) {
      case 'lent':
      case 'not_lent':
        this.epoch = flat[this.#at++] as number
        this.#takeRows(flat[this.#at++])
        break
      case 'misplaced':
        this.shards = flat[this.#at++] as number
        break
      case 'rights_elsewhere':
      case 'not_listed':
        break
      default:
        throw new Fault('HC_LOG_MALFORMED', `no outcome has the code ${numberOnly(code)}`)
    }
  }

  #takeRows(rows: unknown): void {
    const [lent, got] = String(rows)
      .split(';')
      .map((row) => row.split(',').map(Number))
    if (lent === undefined || got?.length !== lent.length || [...lent, ...got].some((total) => !isTotal(total)))
      throw new Fault('HC_LOG_MALFORMED', 'the rows of a loan are no numbers')
    this.lent = lent
    this.got = got
  }
}

function isTotal(total: number | undefined): total is number {
  return Number.isSafeInteger(total) && (total as number) >= 0
}

function parseReceived(receipts: unknown): Received[] {
  return String(receipts)
    .split(';')
    .map((receipt) => {
      const [from, total] = receipt.split(',').map(Number)
      if (!isTotal(from) || !isTotal(total)) throw new Fault('HC_LOG_MALFORMED', 'a receipt is not two numbers')
      return { from, total }
    })
}

/** The parameters of an opened sale, as the log and Redis hold them. Times in ms since the epoch. */
export interface SaleTerms {
  readonly sale: number
  readonly opensAtMs: number
  readonly closesAtMs: number
  readonly items: number
  readonly userLimit: number
  readonly holdMs: number
  /** Over how many shards its items are spread. */
  readonly shards: number
}

/** An `o` entry of the log. @throws Fault HC_LOG_MALFORMED when it is not seven numbers, or eight with that of its shards */
export function decodeOpenedSale(encoded: Uint8Array): SaleTerms & { readonly openedAtMs: number } {
  const flat = unpackFlat(encoded)
  const [sale, opensAtMs, closesAtMs, items, userLimit, holdMs, openedAtMs, shards = 1] = flat as number[]
  if (flat.length < 7 || flat.length > 8 || flat.some((value) => typeof value !== 'number')) {
    throw new Fault('HC_LOG_MALFORMED', 'an opened sale is not seven or eight numbers')
  }
  const opened = { sale, opensAtMs, closesAtMs, items, userLimit, holdMs, shards, openedAtMs }
  return opened as SaleTerms & { openedAtMs: number }
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

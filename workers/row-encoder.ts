import { BatchReader, DecisionReader, decodeOpenedSale, type SaleTerms } from '../core/decisions.ts'
import { Fault } from '../core/faults.ts'
import type { LogPosition } from '../core/log-position.ts'
import { type Outcome, outcomes } from '../core/outcomes.ts'
import { transferKinds } from '../core/postgres/record-columns.ts'
import { msPerDay } from '../core/time.ts'
import { CopyText, copyField, copyNull, copyTime } from './copy-text.ts'
import { ChunkReader, type LogChunk } from './log-chunk.ts'

const textBytesInitial = 2 * 1024 * 1024
/** Few holds are given back, few rights move, and in sales of one shard none. */
const fewBytesInitial = 64 * 1024
/** The first moment of the year 10,000, which ISO 8601 writes in another way. */
const momentMsMax = Date.UTC(10_000)

/**
 * Turns log entries into the rows of the tables (core/postgres/record-columns.ts): one row a decided command in one of the
 * attempts tables, one more in purchases for each that was sold, and one in right_transfers for each right of a buyer that
 * the command moved. A thread keeps one for good, for the memory of its texts.
 */
export class RowEncoder {
  readonly checkouts = new CopyText(textBytesInitial)
  readonly purchaseAttempts = new CopyText(textBytesInitial)
  readonly releaseAttempts = new CopyText(fewBytesInitial)
  /** In the order of the primary key, whose pages are then gone through once: half of what an index entry costs otherwise. */
  readonly purchases = new CopyText(textBytesInitial)
  readonly transfers = new CopyText(fewBytesInitial)
  /** In the order in which they were opened. */
  openedSales: SaleTerms[] = []
  /** Days since 1970 (UTC) that the attempts fall on. */
  readonly days = new Set<number>()
  #sold: SoldRow[] = []

  /**
   * Encodes a chunk in place of the last one. Returns the number of entries and the last one's position: at an entry that
   * can't be read it stops, and what stands before it is good.
   * @throws Fault HC_LOG_MALFORMED when the first entry can't be read
   */
  encode(chunk: LogChunk): { readonly through: LogPosition; readonly entries: number } {
    this.checkouts.clear()
    this.purchaseAttempts.clear()
    this.releaseAttempts.clear()
    this.purchases.clear()
    this.transfers.clear()
    this.openedSales = []
    this.days.clear()
    const entry = new ChunkReader(chunk)
    let through = chunk.after
    let entries = 0
    while (entry.next()) {
      try {
        if (entry.results.length === 0) this.openedSales.push(openedSale(entry))
        else this.#batch(entry, chunk.shard)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        if (entries === 0) throw new Fault(error.code, `the log entry ${entry.epoch}-${entry.seq}: ${error.message}`)
        break
      }
      through = { epoch: entry.epoch, seq: entry.seq }
      entries++
    }
    this.#sold.sort((a, b) => a.sale - b.sale || a.index - b.index)
    this.purchases.add(this.#sold.map(({ row }) => row).join(''), this.#sold.length)
    this.#sold = []
    return { through, entries }
  }

  /** Adds the rows of all its commands, or none. @throws Fault HC_LOG_MALFORMED */
  #batch(entry: ChunkReader, shard: number): void {
    const commands = new BatchReader(entry.message)
    const decisions = new DecisionReader(entry.results)
    const { nowMs } = decisions
    if (!isMoment(nowMs)) throw malformed('its results have no time')

    // Built as strings for the whole batch: its constant part is formatted once, and so is the expiry that all new
    // holds of a batch share.
    const time = copyTime(nowMs)
    const head = `${time}\t${entry.epoch}\t${entry.seq}\t`
    let checkouts = ''
    let checkoutCount = 0
    let attempts = ''
    let attemptCount = 0
    const releases: string[] = []
    const sold: SoldRow[] = []
    let expiresAtMs = 0
    let expiresAt = ''
    const transfers: string[] = []
    let read = 0
    /** The next place in the entry: commands that decided and changed nothing have none. */
    let n = 0
    while (commands.next()) {
      if (!decisions.next()) throw malformed(`${commands.commandCount} commands have ${read} replies`)
      const { sale, index } = commands
      const { outcome } = decisions
      if (!isWellTyped(commands, decisions))
        throw malformed(`the command ${read} or the reply to it has a value of another type`)
      read++
      if (!decisions.isDecided || decisions.received.length > 0) {
        if (!decisions.isPlaced) continue
        transfers.push(...movedRights(commands, decisions, `${time}\t${shard}\t${entry.epoch}\t${entry.seq}\t${n}`))
        if (!decisions.isDecided) {
          n++
          continue
        }
      }
      const place = `${head}${n}\t${sale}\t${copyField(index)}\t`
      n++
      if (commands.user !== '') {
        let hold = `${copyNull}\t${copyNull}\n`
        if (outcome === 'held' || outcome === 'held_again') {
          if (decisions.expiresAtMs !== expiresAtMs) expiresAt = copyTime(decisions.expiresAtMs)
          expiresAtMs = decisions.expiresAtMs
          hold = `${copyField(outcome === 'held' ? commands.nonce : decisions.nonce)}\t${expiresAt}\n`
        }
        checkouts += `${place}${copyField(commands.user)}\t${outcomes[outcome].code}\t${hold}`
        checkoutCount++
        continue
      }
      const nonce = copyField(commands.nonce)
      const user = isKnownWhose(outcome) ? copyField(decisions.user) : copyNull
      const attempt = `${place}${nonce}\t${outcomes[outcome].code}\t${user}\n`
      if (commands.isRelease) {
        releases.push(attempt)
        continue
      }
      attempts += attempt
      attemptCount++
      if (outcome === 'purchased') sold.push({ sale, index: Number(index), row: `${place}${nonce}\t${user}\n` })
    }
    if (decisions.next()) throw malformed(`${read} commands have more replies`)
    this.days.add(Math.floor(nowMs / msPerDay))
    this.checkouts.add(checkouts, checkoutCount)
    this.purchaseAttempts.add(attempts, attemptCount)
    this.releaseAttempts.add(releases.join(''), releases.length)
    this.#sold.push(...sold)
    this.transfers.add(transfers.join(''), transfers.length)
  }
}

/** A row of purchases, with its primary key. */
interface SoldRow {
  readonly sale: number
  readonly index: number
  readonly row: string
}

/** Of a code's purchase or release: whether the decision says whose it is. */
function isKnownWhose(outcome: Outcome): boolean {
  switch (outcome) {
    case 'purchased':
    case 'purchased_again':
    case 'released':
    case 'released_again':
      return true
    default:
      return false
  }
}

/** Rows of what a command's receipts brought, and of what a loan gave away. `of`: when and where that was decided. */
function movedRights(
  { sale, index, user }: BatchReader,
  { reply, lent, received }: DecisionReader,
  of: string,
): string[] {
  const head = `${of}\t${sale}\t${copyField(user)}\t`
  const rows = received.map(({ from, total }) => `${head}${from}\t${transferKinds.got}\t${total}\n`)
  if (reply === 'lent') rows.push(`${head}${Number(index)}\t${transferKinds.lent}\t${lent[Number(index)]}\n`)
  return rows
}

function openedSale({ message }: ChunkReader): SaleTerms {
  const terms = decodeOpenedSale(message)
  const { sale, items, userLimit, holdMs, opensAtMs, closesAtMs, shards } = terms
  const numbersAreWhole = [sale, items, userLimit, holdMs, shards].every(Number.isSafeInteger)
  if (!numbersAreWhole || shards < 1 || !isMoment(opensAtMs) || !isMoment(closesAtMs))
    throw malformed('an opened sale has a number out of its range')
  return terms
}

/** The log is not only ours to write, and msgpack holds anything. */
function isWellTyped(commands: BatchReader, decisions: DecisionReader): boolean {
  const { sale, index, nonce, user } = commands
  if (!Number.isSafeInteger(sale) || typeof index !== 'string' || typeof nonce !== 'string' || typeof user !== 'string')
    return false
  if (decisions.isDecided && commands.isRelease !== (outcomes[decisions.outcome].operation === 'release')) return false
  switch (decisions.reply) {
    case 'held':
      return isMoment(decisions.expiresAtMs)
    case 'held_again':
      return isMoment(decisions.expiresAtMs) && typeof decisions.nonce === 'string'
    case 'purchased':
    case 'purchased_again':
    case 'released':
    case 'released_again':
      return typeof decisions.user === 'string'
    case 'lent':
      return user !== '' && /^\d{1,2}$/.test(index) && decisions.lent[Number(index)] !== undefined
    default:
      return true
  }
}

/** Ms that a Date can hold and Postgres reads: until the year 9999. */
function isMoment(ms: number): boolean {
  return Number.isFinite(ms) && ms >= 0 && ms < momentMsMax
}

function malformed(problem: string): Fault {
  return new Fault('HC_LOG_MALFORMED', problem)
}

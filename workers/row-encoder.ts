import { BatchReader, DecisionReader, decodeOpenedSale, type SaleTerms } from '../core/decisions.ts'
import { Fault } from '../core/faults.ts'
import { outcomes } from '../core/outcomes.ts'
import { CopyText, copyField, copyNull, copyTime } from './copy-text.ts'
import { ChunkReader, type LogChunk } from './log-chunk.ts'

const textBytesInitial = 2 * 1024 * 1024
const msPerDay = 86_400_000

export const checkoutColumns = 'decided_at, epoch, batch, n, sale_id, item_index, user_id, outcome, nonce, expires_at'
export const purchaseAttemptColumns = 'decided_at, epoch, batch, n, sale_id, item_index, nonce, outcome, user_id'
export const purchaseColumns = 'purchased_at, epoch, batch, n, sale_id, item_index, nonce, user_id'

/**
 * Turns log entries into the rows of the tables: one row a command in one of the attempts tables, and one more in
 * purchases for each that was sold. A thread keeps one for good, for the memory of its texts.
 */
export class RowEncoder {
  readonly checkouts = new CopyText(textBytesInitial)
  readonly purchaseAttempts = new CopyText(textBytesInitial)
  readonly purchases = new CopyText(textBytesInitial)
  /** In the order in which they were opened. */
  openedSales: SaleTerms[] = []
  /** Days since 1970 (UTC) that the attempts fall on. */
  readonly days = new Set<number>()

  /** Encodes a chunk; what was there before is gone. @throws Fault HC_LOG_MALFORMED */
  encode(chunk: LogChunk): void {
    this.checkouts.clear()
    this.purchaseAttempts.clear()
    this.purchases.clear()
    this.openedSales = []
    this.days.clear()
    const entry = new ChunkReader(chunk)
    while (entry.next()) {
      if (entry.results.length === 0) this.openedSales.push(decodeOpenedSale(entry.message))
      else this.#batch(entry)
    }
  }

  #batch(entry: ChunkReader): void {
    const commands = new BatchReader(entry.message)
    const decisions = new DecisionReader(entry.results)
    const { nowMs } = decisions
    this.days.add(Math.floor(nowMs / msPerDay))

    // Built as strings for the whole batch: its constant part is formatted once, and so is the expiry that all new
    // holds of a batch share.
    const head = `${copyTime(nowMs)}\t${entry.epoch}\t${entry.seq}\t`
    let checkouts = ''
    let checkoutCount = 0
    let attempts = ''
    let attemptCount = 0
    let purchases = ''
    let purchaseCount = 0
    let expiresAtMs = 0
    let expiresAt = ''
    let n = 0
    while (commands.next()) {
      if (!decisions.next()) throw malformed(entry, `${commands.commandCount} commands have ${n} decisions`)
      const { sale, index } = commands
      const { outcome } = decisions
      const place = `${head}${n}\t${sale}\t${copyField(index)}\t`
      n++
      if (commands.user !== '') {
        let hold = `${copyNull}\t${copyNull}\n`
        if (outcome === 'held' || outcome === 'held_again') {
          if (decisions.expiresAtMs !== expiresAtMs) {
            expiresAtMs = decisions.expiresAtMs
            expiresAt = copyTime(expiresAtMs)
          }
          hold = `${copyField(outcome === 'held' ? commands.nonce : decisions.nonce)}\t${expiresAt}\n`
        }
        checkouts += `${place}${copyField(commands.user)}\t${outcomes[outcome].code}\t${hold}`
        checkoutCount++
        continue
      }
      const nonce = copyField(commands.nonce)
      const known = outcome === 'purchased' || outcome === 'purchased_again'
      const user = known ? copyField(decisions.user) : copyNull
      attempts += `${place}${nonce}\t${outcomes[outcome].code}\t${user}\n`
      attemptCount++
      if (outcome === 'purchased') {
        purchases += `${place}${nonce}\t${user}\n`
        purchaseCount++
      }
    }
    if (decisions.next()) throw malformed(entry, `${n} commands have more decisions`)
    this.checkouts.add(checkouts, checkoutCount)
    this.purchaseAttempts.add(attempts, attemptCount)
    this.purchases.add(purchases, purchaseCount)
  }
}

function malformed(entry: ChunkReader, problem: string): Fault {
  return new Fault('HC_LOG_MALFORMED', `the log entry ${entry.epoch}-${entry.seq}: ${problem}`)
}

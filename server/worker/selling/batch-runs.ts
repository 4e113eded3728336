import { isOfRelease, lendNonce } from '../../../core/decisions.ts'
import { nonceLength } from '../../../core/ids.ts'
import type { PendingCommand } from './batcher.ts'
import type { SoldItems } from './sold-items.ts'

/** In the order in which they are sent. */
export interface ArrangedBatch {
  readonly commands: readonly PendingCommand[]
  /** From this place on they are checkouts of items that are known to be sold. */
  readonly soldFrom: number
}

/**
 * Puts commands of one kind on one sale together, because each run of them costs Redis two calls, and those of sold items at
 * the end. They all came in one turn and none is answered yet, so any order of theirs is one in which they may have come.
 */
export function inRuns(batch: readonly PendingCommand[], sold: SoldItems): ArrangedBatch {
  const runs = new Map<number, PendingCommand[]>()
  const soldRuns = new Map<number, PendingCommand[]>()
  let lastKey = Number.NaN
  let last: PendingCommand[] = []
  for (const command of batch) {
    const isSold = isKnownSold(command, sold)
    // A sale's number has 15 digits at most: four times that is exact. -1 to tell the sold ones from the others.
    const key = isSold ? -1 - command.sale : command.sale * 4 + kindOf(command)
    if (key !== lastKey) {
      lastKey = key
      last = runOf(isSold ? soldRuns : runs, key)
    }
    last.push(command)
  }
  const [first] = runs.values()
  if (runs.size === 1 && soldRuns.size === 0 && first !== undefined) return { commands: first, soldFrom: first.length }
  const commands = [...runs.values()].flat()
  const soldFrom = commands.length
  for (const run of soldRuns.values()) commands.push(...run)
  return { commands, soldFrom }
}

function kindOf({ user, nonce }: PendingCommand): number {
  if (user !== '') return 0
  return isOfRelease(nonce) ? 2 : 1
}

function runOf(runs: Map<number, PendingCommand[]>, key: number): PendingCommand[] {
  const run = runs.get(key) ?? []
  runs.set(key, run)
  return run
}

/** Only of an ordinary checkout that is the whole answer: a loan's index is no item's, and receipts change what is known. */
function isKnownSold({ sale, index, nonce, user }: PendingCommand, sold: SoldItems): boolean {
  return user !== '' && nonce.length === nonceLength && nonce !== lendNonce && sold.has(sale, index)
}

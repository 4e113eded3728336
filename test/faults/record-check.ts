import type { LogPosition } from '../../core/log-position.ts'
import {
  type AttemptRow,
  comparePlaces,
  type EpochRow,
  type Evidence,
  formatPlace,
  type Place,
  type PurchaseRow,
  type TransferRow,
} from './evidence.ts'
import type { Findings } from './findings.ts'

/** What the rows must be like by themselves, whoever asked for them and whatever the rules are. */
export function checkRecord(evidence: Evidence, findings: Findings): void {
  checkPlaces(evidence, findings)
  checkSold(evidence, findings)
  checkPurchases(evidence, findings)
}

/**
 * Of each shard: within an epoch no entry is missing but those that opened a sale, which have no rows; and where the next one
 * began says where an epoch ended.
 */
function checkPlaces({ attempts, transfers, sales, epochs, offsets, losses }: Evidence, findings: Findings): void {
  for (const [shard, offset] of offsets.entries()) {
    const ofShard = (row: { readonly shard: number }) => row.shard === shard
    const entries = entriesOf(attempts.filter(ofShard), transfers.filter(ofShard), findings)
    let withoutRows = 0
    const ofThis = epochs.filter(ofShard)
    for (const [epoch, lastSeq] of epochEnds(shard, { entries, epochs: ofThis, offset }, findings)) {
      const seqs = entries.get(epoch) ?? new Set()
      const isWhole = lastSeq !== undefined && !wasGivenUp(epoch, { entries, epochs: ofThis })
      withoutRows += Math.max(isWhole ? lastSeq : 0, ...seqs) - seqs.size
    }
    // One that was opened again, after its opening had been lost.
    const opened = sales.length + losses.filter(ofShard).length
    if (withoutRows > opened)
      findings.add(
        'place_missing',
        `shard ${shard}: ${withoutRows} entries have no rows, and ${opened} sales were opened`,
      )
  }
}

/** Epoch -> the seqs of a shard that have rows. In an entry each place has a decision, a loan, or what was received. */
function entriesOf(
  attempts: readonly AttemptRow[],
  transfers: readonly TransferRow[],
  findings: Findings,
): Map<number, Set<number>> {
  // A checkout that brought rights along is the attempt in the same place, and so is each of them.
  const taken = new Set(attempts.map(formatPlace))
  const others = new Map(transfers.map((row) => [formatPlace(row), row]))
  const rows = [...attempts, ...[...others].flatMap(([place, row]) => (taken.has(place) ? [] : [row]))]
  const entries = new Map<number, Set<number>>()
  let before: Place | undefined
  for (const row of (rows as Place[]).toSorted(comparePlaces)) {
    const follows = before?.epoch === row.epoch ? before : { epoch: row.epoch, seq: 0, n: -1 }
    if (before !== undefined && comparePlaces(before, row) === 0) findings.add('place_doubled', formatPlace(row))
    else if (row.seq === follows.seq ? row.n !== follows.n + 1 : row.n !== 0)
      findings.add('place_missing', `before ${formatPlace(row)}`)
    const seqs = entries.get(row.epoch) ?? new Set()
    entries.set(row.epoch, seqs.add(row.seq))
    before = row
  }
  const told = new Set<string>()
  for (const row of transfers) {
    const key = `${formatPlace(row)} ${row.kind} ${row.peer}`
    if (told.has(key)) findings.add('place_doubled', key)
    told.add(key)
  }
  return entries
}

/** Whether what an epoch still held was lost in a rebuild, before anything of the one that follows on it was on record. */
function wasGivenUp(
  epoch: number,
  { entries, epochs }: { entries: ReadonlyMap<number, unknown>; epochs: readonly EpochRow[] },
): boolean {
  const follower = epochs.find(({ after }) => after?.epoch === epoch)?.epoch ?? epoch
  const rebuilt = epochs.find((row) => row.epoch > epoch && row.after === undefined)?.epoch
  return rebuilt !== undefined && ![...entries.keys()].some((one) => one >= follower && one > epoch && one < rebuilt)
}

/** Epoch -> its last seq; undefined: Redis lost it, and it is not known. Nothing may stand behind an end. */
function epochEnds(
  shard: number,
  { entries, epochs, offset }: { entries: Map<number, Set<number>>; epochs: readonly EpochRow[]; offset: LogPosition },
  findings: Findings,
): Map<number, number | undefined> {
  const ends = new Map<number, number | undefined>([...entries.keys()].map((epoch) => [epoch, undefined]))
  for (const { after } of epochs) if (after !== undefined) ends.set(after.epoch, after.seq)
  // An epoch that nothing was written in has no place of its own in the chain.
  const hasFollower = epochs.some(({ after }) => after?.epoch === offset.epoch)
  if (!hasFollower) ends.set(offset.epoch, offset.seq)
  for (const [epoch, seqs] of entries) {
    const end = epoch > offset.epoch ? 0 : ends.get(epoch)
    const last = Math.max(...seqs)
    if (end !== undefined && last > end)
      findings.add('place_missing', `shard ${shard}: ${epoch}-${last} is beyond the end of its epoch, ${epoch}-${end}`)
  }
  return ends
}

function checkSold({ attempts, sales }: Evidence, findings: Findings): void {
  for (const { sale, items, userLimit } of sales) {
    const sold = attempts.filter((row) => row.sale === sale && row.outcome === 'purchased')
    for (const [index, count] of counted(sold.map((row) => row.index)))
      if (count > 1) findings.add('item_sold_twice', `${sale}-${index}: ${count} times`)
    for (const [user, count] of counted(sold.map((row) => row.user)))
      if (count > userLimit) findings.add('limit_passed', `${user} bought ${count} in sale ${sale}`)
    if (sold.length > items) findings.add('stock_passed', `${sold.length} of ${items} in sale ${sale}`)
  }
}

function checkPurchases({ attempts, purchases }: Evidence, findings: Findings): void {
  const expected = attempts.filter(({ outcome }) => outcome === 'purchased')
  const expectedTexts = new Set(
    expected.map((row) => purchaseText({ ...row, purchasedAtMs: row.decidedAtMs } as PurchaseRow)),
  )
  for (const row of purchases) {
    const text = purchaseText(row)
    if (!expectedTexts.delete(text)) findings.add('purchase_differs', `${text} has no attempt of its own`)
  }
  for (const text of expectedTexts) findings.add('purchase_differs', `${text} is no purchase`)
}

function purchaseText(row: PurchaseRow): string {
  return `${formatPlace(row)}: ${row.sale}-${row.index} ${row.nonce} ${row.user} at ${row.purchasedAtMs}`
}

function counted<Key>(keys: readonly Key[]): Map<Key, number> {
  const counts = new Map<Key, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}

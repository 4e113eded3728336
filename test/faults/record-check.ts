import { compareLogPositions, formatLogPosition } from '../../core/log-position.ts'
import { comparePlaces, type Evidence, formatPlace, type Place, type PurchaseRow } from './evidence.ts'
import type { Findings } from './findings.ts'

/** What the rows must be like by themselves, whoever asked for them and whatever the rules are. */
export function checkRecord(evidence: Evidence, findings: Findings): void {
  checkPlaces(evidence, findings)
  checkSold(evidence, findings)
  checkPurchases(evidence, findings)
}

/** Within an epoch no entry is missing but those that opened a sale, which have no rows. */
function checkPlaces({ attempts, sales, offset }: Evidence, findings: Findings): void {
  const rows = attempts.toSorted(comparePlaces)
  let entriesWithoutRows = 0
  let before: Place | undefined
  for (const row of rows) {
    const follows = before?.epoch === row.epoch ? before : { epoch: row.epoch, seq: 0, n: -1 }
    if (before !== undefined && comparePlaces(before, row) === 0) findings.add('place_doubled', formatPlace(row))
    else if (row.seq === follows.seq ? row.n !== follows.n + 1 : row.n !== 0)
      findings.add('place_missing', `before ${formatPlace(row)}`)
    if (row.seq > follows.seq + 1) entriesWithoutRows += row.seq - follows.seq - 1
    before = row
  }
  if (before !== undefined) {
    if (compareLogPositions(before, offset) > 0)
      findings.add('place_missing', `${formatPlace(before)} is beyond the offset ${formatLogPosition(offset)}`)
    if (offset.epoch === before.epoch) entriesWithoutRows += Math.max(0, offset.seq - before.seq)
  }
  if (entriesWithoutRows > sales.length)
    findings.add('place_missing', `${entriesWithoutRows} entries have no rows, and ${sales.length} sales were opened`)
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

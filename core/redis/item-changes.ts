/**
 * The changes of a sale's items that `decide` notes while somebody watches, as note_changes in functions/sale.lua writes them:
 * four bytes a change, big-endian, in the order of the changes: the item's index * 2, plus 1 if it was sold and not held. The
 * index is the upper 31 bits. A release is the item as sold and at once as held: what is sold is never held again, and a
 * version without releases can show it.
 */
const changeLength = 4

export type ItemChange = 'held' | 'sold' | 'released'

/**
 * Calls `visit` for each change in turn: no object a change, as a tick may bring thousands.
 * @param options.hasMore more was noted behind these: the last one may be half a release, and is left for the next time
 * @returns how many bytes were gone through
 */
export function visitItemChanges(
  changes: Buffer,
  { hasMore }: { hasMore: boolean },
  visit: (index: number, change: ItemChange) => void,
): number {
  let at = 0
  while (at + changeLength <= changes.length) {
    const change = changes.readUInt32BE(at)
    const index = change >>> 1
    const next = at + changeLength
    const hasNext = next + changeLength <= changes.length
    if ((change & 1) === 0) visit(index, 'held')
    else if (hasNext && changes.readUInt32BE(next) === index * 2) {
      visit(index, 'released')
      at += changeLength
    } else if (hasNext || !hasMore) visit(index, 'sold')
    else break
    at += changeLength
  }
  return at
}

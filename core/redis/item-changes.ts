/**
 * The changes of a sale's items that `decide` notes while somebody watches, as note_changes in functions/decide.lua writes
 * them: four bytes a change, big-endian, in the order of the changes: the item's index * 2, plus 1 if it was sold and not
 * held. The index is the upper 31 bits.
 */
const changeLength = 4

/** Calls `visit` for each change in turn: no object a change, as a tick may bring thousands. */
export function visitItemChanges(changes: Buffer, visit: (index: number, isSold: boolean) => void): void {
  for (let at = 0; at + changeLength <= changes.length; at += changeLength) {
    const change = changes.readUInt32BE(at)
    visit(change >>> 1, (change & 1) === 1)
  }
}

/** Two edits turn most slips of the keyboard back into the name that was meant; three start to match anything. */
const editsMax = 2

/** Half of what follows the prefix: REDIS_URL is no slip of REDIS_TTL. */
function editsMaxOf(text: string): number {
  return Math.min(editsMax, Math.floor((text.length - text.indexOf('_') - 1) / 2))
}

/** Edits (insert, delete, replace, swap neighbours) that turn one text into the other. */
function editDistance(from: string, to: string): number {
  const rows = Array.from({ length: from.length + 1 }, (_, row) => [row])
  for (let column = 0; column <= to.length; column++) (rows[0] ?? [])[column] = column
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let row = 1; row <= from.length; row++) {
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      const edits = [at(row - 1, column) + 1, at(row, column - 1) + 1, at(row - 1, column - 1) + (same ? 0 : 1)]
      if (swapped) edits.push(at(row - 2, column - 2) + 1)
      ;(rows[row] ?? [])[column] = Math.min(...edits)
    }
  }
  return at(from.length, to.length)
}

/** The name that is so near that a slip of the keyboard explains it. */
export function nearestName(text: string, names: readonly string[]): string | undefined {
  return names
    .map((name) => ({ name, edits: editDistance(text, name) }))
    .filter(({ edits }) => edits <= editsMaxOf(text))
    .toSorted((a, b) => a.edits - b.edits)[0]?.name
}

/** The name that was probably meant: the nearest one, if it is near at all, or the only one that contains the text. */
export function closestName(text: string, names: readonly string[]): string | undefined {
  const near = nearestName(text, names)
  if (near !== undefined) return near
  const containing = names.filter((name) => name.startsWith(text) || text.startsWith(name))
  return containing.length === 1 ? containing[0] : undefined
}

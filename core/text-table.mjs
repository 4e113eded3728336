// @ts-check
// Plain JavaScript, because commands in ops/setup print tables before anything is compiled.

/**
 * The lines of a table: columns as wide as they need, two blanks between.
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 * @param {{ left?: readonly number[] }} [options] `left`: the columns, from 0, that begin at the left; all others, mostly
 *   numbers, end at the right
 */
export function textTable(head, rows, { left = [0] } = {}) {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const aligned = (/** @type {string} */ cell, /** @type {number} */ at) =>
    left.includes(at) ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)
  return [head, ...rows].map((row) => row.map(aligned).join('  ').trimEnd())
}

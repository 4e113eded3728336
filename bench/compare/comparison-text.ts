import { textTable } from '../../core/text-table.mjs'
import type { Cell, Comparison, Row } from './comparison.ts'
import type { Metric } from './metrics.ts'
import { chanceApart, type Verdict } from './noise.ts'

const verdicts = { clear: 'clear', noise: 'within the noise', unknown: '' } as const satisfies Record<Verdict, string>

export function comparisonText({ columns, rows, warnings }: Comparison): string {
  const others = columns.slice(1)
  const head = [
    '',
    ...columns.map(({ title }) => title),
    ...others.flatMap(({ title }) => [`ratio${others.length > 1 ? ` ${title}` : ''}`, '']),
  ]
  const lines = [...textTable(head, rows.map(cells)), '']
  lines.push(...legend({ columns, rows, warnings }))
  for (const warning of warnings) lines.push(`note: ${warning}`)
  return `${lines.join('\n')}\n`
}

/** What the numbers are, and how much the repeats say. */
export function legend({ columns }: Comparison): string[] {
  const counts = columns.map(({ valid }) => valid.runs.length)
  const repeats = counts.every((count) => count === 1)
    ? 'one run each'
    : `medians (least..most) of ${counts.join(', ')} runs`
  if (columns.length === 1) return [repeats]
  const [first = 1, second = 1] = counts
  const chance = chanceApart(first, second)
  if (chance > 0.1)
    return [`${repeats}: too few to tell a difference from noise. --repeat 3 or more says which differences are clear`]
  return [
    `${repeats}. clear: no repeat of one reaches any repeat of the other, which chance alone does for ` +
      `1 metric in ${Math.round(1 / chance)}; within the noise: they overlap`,
  ]
}

function cells({ metric, cells: ofRow }: Row): string[] {
  return [
    `${metric.name}, ${metric.unit}`,
    ...ofRow.map((cell) => (cell === undefined ? '-' : spreadText(metric, cell))),
    ...ofRow.slice(1).flatMap((cell) => (cell === undefined ? ['', ''] : [ratioText(cell), verdictText(metric, cell)])),
  ]
}

export function spreadText({ format }: Metric, { spread: { median, min, max, count } }: Cell): string {
  return count === 1 ? format(median) : `${format(median)} (${format(min)}..${format(max)})`
}

export function ratioText({ ratio }: Cell): string {
  return ratio === undefined ? '' : `×${ratio.toFixed(2)}`
}

export function verdictText({ better }: Metric, { verdict = 'unknown', ratio }: Cell): string {
  if (verdict !== 'clear' || ratio === undefined || better === 'neither') return verdicts[verdict]
  return ratio > 1 === (better === 'higher') ? 'clear, better' : 'clear, worse'
}

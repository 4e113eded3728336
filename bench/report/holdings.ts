import { textTable } from '../../core/text-table.mjs'
import { median } from '../harness/median.ts'
import { formatBytes, formatCount } from './format.ts'
import type { Holding } from './report.ts'

/** Fewer looks say nothing about growth. */
const looksMin = 8
/** What moves by less is taken for flat. */
const flatShare = 0.05
const columnsMax = 6

export interface Growth {
  readonly role: string
  readonly what: 'memory' | 'descriptors'
  /** 0.1: a tenth more. */
  readonly share: number
}

/** What grew from the second quarter of the looks to the last, by the medians: in the first one caches fill. */
export function growthOf(holdings: readonly Holding[]): Growth[] {
  if (holdings.length < looksMin) return []
  const quarter = Math.floor(holdings.length / 4)
  const [early, late] = [holdings.slice(quarter, 2 * quarter), holdings.slice(-quarter)]
  return rolesOf(holdings).flatMap((role) =>
    kinds.flatMap(({ what, of }) => {
      const [before, after] = [early, late].map((looks) => median(looks.map((look) => of(look, role)))) as [
        number,
        number,
      ]
      return before > 0 && after > before * (1 + flatShare) ? [{ role, what, share: after / before - 1 }] : []
    }),
  )
}

/** What each role held at some moments of the run, evenly spread. */
export function holdingsText(holdings: readonly Holding[]): string[] {
  const count = Math.min(columnsMax, holdings.length)
  const shown = Array.from({ length: count }, (_, at) => {
    const place = count === 1 ? 0 : Math.round((at * (holdings.length - 1)) / (count - 1))
    return holdings[place] as Holding
  })
  const rows = rolesOf(holdings).flatMap((role) =>
    kinds.map(({ what, of, format }) => [`${role}, ${what}`, ...shown.map((look) => format(of(look, role)))]),
  )
  return textTable(['held after', ...shown.map(({ second }) => `${formatCount(second / 60)} min`)], rows)
}

const kinds = [
  { what: 'memory', of: (look: Holding, role: string) => look.byRole[role]?.residentBytes ?? 0, format: formatBytes },
  {
    what: 'descriptors',
    of: (look: Holding, role: string) => look.byRole[role]?.descriptors ?? 0,
    format: formatCount,
  },
] as const

function rolesOf(holdings: readonly Holding[]): string[] {
  return [...new Set(holdings.flatMap(({ byRole }) => Object.keys(byRole)))].toSorted()
}

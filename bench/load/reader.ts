import { formatItemId } from '../../core/ids.ts'
import type { SeededRandom } from '../harness/seeded-random.ts'
import type { Sale } from './shop.ts'

export interface ReaderOptions {
  readonly sale: Sale
  readonly users: number
  readonly random: SeededRandom
}

/** Different pictures that are looked at: a page of the shop, again and again. */
const picturesShown = 1_000
/** Items or sales on a page. */
const limit = 50

/** What people look at beside the buying, and how often. */
const looks: readonly (readonly [weight: number, path: (options: Drawn) => string])[] = [
  [35, ({ item }) => `/items/${item()}`],
  [15, ({ below, sale }) => `/items?after=${below(sale.items)}&limit=${limit}`],
  [5, ({ below, sale }) => `/items?state=available&after=${below(sale.items)}&limit=${limit}`],
  [10, ({ below, sale }) => `/items/${formatItemId(sale.id, below(picturesShown) + 1)}/picture.svg`],
  [10, () => '/sale'],
  [5, () => `/sales?limit=${limit}`],
  [5, ({ sale }) => `/sales/${sale.id}`],
  [15, ({ below, users }) => `/users/user-${below(users)}/purchases`],
]
const weights = looks.reduce((total, [weight]) => total + weight, 0)

interface Drawn extends ReaderOptions {
  readonly below: (end: number) => number
  readonly item: () => string
}

/** The path that a reader asks for next. */
export function nextLook(options: ReaderOptions): string {
  const { random, sale } = options
  const below = (end: number): number => Math.floor(random.next() * end)
  const item = (): string => formatItemId(sale.id, below(sale.items) + 1)
  let at = random.next() * weights
  const [, path] = looks.find(([weight]) => (at -= weight) < 0) ?? looks[0] ?? [0, () => '/sale']
  return path({ ...options, below, item })
}

import type { SaleTerms } from '../../../core/decisions.ts'
import { outcomes } from '../../../core/outcomes.ts'
import type { RedisSale } from './redis-side.ts'
import type { SaleReport } from './report.ts'

/** What was found of a sale in one of its shards. */
export interface PartReport {
  readonly state: SaleReport['state']
  readonly redis: RedisSale | undefined
  /** Outcome code -> attempts on record. */
  readonly counts: ReadonlyMap<number, number>
  /** On record. */
  readonly purchases: number
}

/** A sale over all its shards. */
export function describeSale(sale: number, terms: SaleTerms | undefined, parts: readonly PartReport[]): SaleReport {
  const redis = parts.flatMap((part) => part.redis ?? [])
  const known = redis[0]?.terms ?? terms
  const recorded = sumOf(parts.map(({ counts }) => counts))
  const held = redis.map(
    ({ held: holds, nowMs }) => [...holds.values()].filter(({ expiresAtMs }) => expiresAtMs > nowMs).length,
  )
  return {
    sale,
    state: stateOf(parts),
    opensAtMs: known?.opensAtMs,
    items: known?.items,
    redis:
      redis.length === 0
        ? undefined
        : {
            sold: sum(redis.map(({ sold }) => sold.size)),
            held: sum(held),
            attempts: total(sumOf(redis.map(({ counts }) => counts))),
          },
    postgres: {
      purchases: sum(parts.map(({ purchases }) => purchases)),
      attempts: total(recorded),
      outcomes: named(recorded),
    },
  }
}

/** Of several shards the least that can be said of one: a shard that doesn't list the sale is as one that has dropped it. */
function stateOf(parts: readonly PartReport[]): SaleReport['state'] {
  const states = new Set(parts.map(({ state }) => state))
  if (states.has('not_drained')) return 'not_drained'
  return states.has('compared') ? 'compared' : 'postgres_alone'
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0)
}

export function total(counts: ReadonlyMap<number, number>): number {
  return sum([...counts.values()])
}

export function sumOf(all: readonly ReadonlyMap<number, number>[]): ReadonlyMap<number, number> {
  const sums = new Map<number, number>()
  for (const counts of all) for (const [code, count] of counts) sums.set(code, (sums.get(code) ?? 0) + count)
  return sums
}

function named(counts: ReadonlyMap<number, number>): Record<string, number> {
  const known = Object.entries(outcomes).filter(([, { code }]) => counts.has(code))
  return Object.fromEntries(known.map(([name, { code }]) => [name, counts.get(code) ?? 0]))
}

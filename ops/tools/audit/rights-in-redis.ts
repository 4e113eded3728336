import { redisFault } from '../../../core/redis/connection.ts'
import type { SaleStore } from '../../../core/redis/sale-store.ts'
import { decodeUserEntry } from '../../../core/redis/user-entry.ts'
import { auditUsersPerRead } from '../../limits.ts'
import type { Breaches } from './breaches.ts'
import type { RedisSale } from './redis-side.ts'

/** A right that a shard has got, by its own word. */
interface Got {
  readonly user: string
  readonly shard: number
  readonly total: number
}

/**
 * Compares what the shards have got with what the others have lent. Every `got` was read before; both only grow, so what was
 * lent is read now, in whatever order.
 * @param parts of one sale: what its shards knew of it
 * @throws Fault
 */
export async function checkLent(
  parts: readonly RedisSale[],
  stores: readonly SaleStore[],
  breaches: Breaches,
): Promise<void> {
  for (const { shard: lender, terms } of parts) {
    const got = parts.flatMap((part) => gotFrom(part, lender))
    const store = stores[lender]
    if (store === undefined) continue
    for (let at = 0; at < got.length; at += auditUsersPerRead) {
      const some = got.slice(at, at + auditUsersPerRead)
      const lent = await readLent(store, terms, some)
      // Redis has dropped the sale's keys meanwhile: all of the sale is at an end.
      if (lent === undefined) break
      for (const [place, { user, shard, total }] of some.entries()) {
        const of = { where: 'Redis', sale: terms.sale, user, shard, got: total, from: lender }
        if (total > (lent[place] ?? 0)) breaches.add('right_not_lent', { ...of, lent: lent[place] ?? 0 })
      }
    }
  }
}

function gotFrom({ shard, users }: RedisSale, lender: number): Got[] {
  const found: Got[] = []
  for (const [user, { rights }] of users) {
    const from = rights.find(({ peer, got }) => peer === lender && got > 0)
    if (from !== undefined) found.push({ user, shard, total: from.got })
  }
  return found
}

/** What the shard has lent, of each, to who has got it. undefined: it has no such sale any more. */
async function readLent(
  { redis, keys }: SaleStore,
  { sale, opensAtMs, shards }: RedisSale['terms'],
  got: readonly Got[],
): Promise<number[] | undefined> {
  const key = keys.users(sale)
  const users = got.map(({ user }) => user)
  const read = async () => [await redis.hmgetBuffer(key, ...users), await redis.exists(key)] as const
  const [entries, exists] = await read().catch((error: unknown) => {
    throw redisFault(error)
  })
  if (exists === 0) return undefined
  return got.map(({ shard }, place) => {
    const bytes = entries[place]
    const entry = bytes ? decodeUserEntry(bytes, opensAtMs, shards) : undefined
    return entry?.rights.find(({ peer }) => peer === shard)?.lent ?? 0
  })
}

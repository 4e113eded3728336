import type { Reply } from '../../core/outcomes.ts'
import type { Hold } from './reference-shop.ts'

/** What a shard knows of a user. */
export interface RightsBuyer {
  bought: number
  /** When each hold ends that was not purchased. It stays, ended or not, until something needs its room. */
  ends: number[]
  /** Rights ever lent to each shard, and got from it. */
  readonly lent: number[]
  readonly got: number[]
  readonly onRecord: BuyerOnRecord
}

/** What its log says of a user, decided again: rights that a shard was told of at an admission are in no log. */
interface BuyerOnRecord {
  ends: number[]
  readonly lent: number[]
  readonly got: number[]
}

/** Everything that a shard has in Redis, and may lose the newest part of. */
export interface ShardState {
  epoch: number
  /** Of each other shard: nothing counts that it has said in an older epoch. */
  readonly oldest: number[]
  readonly items: Map<number, Hold>
  /** Nonces of holds that were taken over. */
  readonly lapsed: Set<string>
  readonly buyers: Map<string, RightsBuyer>
  readonly counts: Map<Reply, number>
}

/** By hand: structuredClone costs several times as much, and runs copy more often than anything else. */
export function copyOf({ epoch, oldest, items, lapsed, buyers, counts }: Readonly<ShardState>): ShardState {
  return {
    epoch,
    oldest: [...oldest],
    items: new Map([...items].map(([index, hold]) => [index, { ...hold }])),
    lapsed: new Set(lapsed),
    buyers: new Map([...buyers].map(([user, buyer]) => [user, copyOfBuyer(buyer)])),
    counts: new Map(counts),
  }
}

function copyOfBuyer({ bought, onRecord, ...rest }: RightsBuyer): RightsBuyer {
  return { bought, ...copyOfRecord(rest), onRecord: copyOfRecord(onRecord) }
}

export function copyOfRecord({ ends, lent, got }: BuyerOnRecord): BuyerOnRecord {
  return { ends: [...ends], lent: [...lent], got: [...got] }
}

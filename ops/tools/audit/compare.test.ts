import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SaleTerms } from '../../../core/decisions.ts'
import { outcomes } from '../../../core/outcomes.ts'
import { homeShard } from '../../../core/rights.ts'
import { Breaches, type Check, checks } from './breaches.ts'
import { compareSale, type RecordedSale } from './compare.ts'
import type { RedisSale } from './redis-side.ts'

// Only what test/audit-breaches.test.ts can't plant or would plant at great length.

const terms: SaleTerms = { sale: 7, opensAtMs: 0, closesAtMs: 10_000, items: 3, userLimit: 2, holdMs: 500, shards: 1 }
const purchase = { user: 'ann', nonce: 'AAAAAAAAAAAAAAAA', purchasedAtMs: 40 }

/** ann bought item 1, bob holds item 2, and what carl held has expired at this very moment. */
const redis: RedisSale = {
  shard: 0,
  terms,
  nowMs: 1_000,
  position: { epoch: 1, seq: 9 },
  sold: new Map([[1, purchase]]),
  held: new Map([
    [2, { user: 'bob', nonce: 'BBBBBBBBBBBBBBBB', expiresAtMs: 1_001 }],
    [3, { user: 'carl', nonce: 'CCCCCCCCCCCCCCCC', expiresAtMs: 1_000 }],
  ]),
  users: new Map([
    ['ann', { purchases: 1, holdsExpireAtMs: [], rights: [] }],
    ['bob', { purchases: 0, holdsExpireAtMs: [900, 1_001], rights: [] }],
  ]),
  counts: new Map([
    [outcomes.held.code, 3],
    [outcomes.purchased.code, 1],
  ]),
  unreadable: [],
}
const recorded: RecordedSale = {
  terms,
  purchases: redis.sold,
  released: new Set<string>(),
  counts: redis.counts,
  latestMs: 990,
  rights: [],
  isReminded: false,
}

interface Changed {
  readonly redis?: Partial<RedisSale>
  readonly recorded?: Partial<RecordedSale>
  readonly isComplete?: boolean
  readonly completePeers?: readonly number[]
  readonly remindedPeers?: readonly RedisSale[]
}

function breachesOf(changed: Changed) {
  const breaches = new Breaches()
  const { isComplete = true, completePeers = [1, 2] } = changed
  const remindedPeers = new Map(changed.remindedPeers?.map((peer) => [peer.shard, peer]))
  const options = { breaches, isComplete, completePeers: new Set(completePeers), remindedPeers }
  compareSale({ ...redis, ...changed.redis }, { ...recorded, ...changed.recorded }, options)
  const found = (Object.keys(checks) as Check[]).filter((check) => breaches.of(check).count > 0)
  return Object.fromEntries(found.map((check) => [check, breaches.of(check).rows]))
}

test('equal sides are no breach, and a hold that expires at this moment takes no slot', () => {
  assert.deepEqual(breachesOf({}), {})
})

test('what was released is over in Redis and on record, and a release that Postgres has not yet is no breach', () => {
  const [ofBob, ofCarl] = ['BBBBBBBBBBBBBBBB', 'CCCCCCCCCCCCCCCC']
  const held = new Map([...redis.held, [3, { user: 'carl', nonce: ofCarl, expiresAtMs: terms.opensAtMs }]])
  assert.deepEqual(breachesOf({ redis: { held }, recorded: { released: new Set([ofCarl]) } }), {})
  assert.deepEqual(breachesOf({ redis: { held }, isComplete: false }), {})
  const unrecorded = { problem: 'the release is not on record', sale: 7, item: 3, user: 'carl' }
  assert.deepEqual(breachesOf({ redis: { held } }), { release_differs: [unrecorded] })
  const kept = { recorded: { released: new Set([ofBob]) }, isComplete: false }
  const unreleased = { problem: 'Redis has not given the hold back', sale: 7, item: 2, user: 'bob' }
  assert.deepEqual(breachesOf(kept), { release_differs: [unreleased] })
})

test("a hold that lives on in one entry alone is a breach, unless it had ended before Redis' clock stepped back", () => {
  const cutOff = { user: 'carl', nonce: 'CCCCCCCCCCCCCCCC', expiresAtMs: 1_400 }
  const held = new Map([...redis.held, [3, cutOff]])
  const users = new Map([...redis.users, ['dora', { purchases: 0, holdsExpireAtMs: [1_300], rights: [] }]])
  const stepped = { redis: { held, users } }
  assert.deepEqual(breachesOf({ ...stepped, recorded: { latestMs: 1_400 } }), {})
  assert.deepEqual(Object.keys(breachesOf({ ...stepped, recorded: { latestMs: 1_399 } })), ['user_record_differs'])
})

test('what Postgres lacks is a breach only when it has the log up to the moment of Redis', () => {
  const behind = { terms: undefined, purchases: new Map(), counts: new Map([[outcomes.held.code, 2]]) }
  assert.deepEqual(breachesOf({ recorded: behind, isComplete: false }), {})
  assert.deepEqual(Object.keys(breachesOf({ recorded: behind })), [
    'attempts_differ',
    'terms_differ',
    'not_recorded',
    'buyer_differs',
  ])
})

test('what Postgres has too much is a breach always', () => {
  const ahead = {
    purchases: new Map([...redis.sold, [2, { ...purchase, user: 'bob' }]]),
    counts: new Map([...redis.counts, [outcomes.item_sold.code, 1]]),
  }
  assert.deepEqual(breachesOf({ recorded: ahead, isComplete: false }), {
    attempts_differ: [{ sale: 7, outcome: 'item_sold', redis: 0, postgres: 1 }],
    not_sold: [{ sale: 7, item: 2, user: 'bob', purchased_at: '1970-01-01T00:00:00.040Z' }],
    buyer_differs: [{ sale: 7, user: 'bob', redis: 0, postgres: 1 }],
  })
})

test('live holds count to the limit', () => {
  const held = new Map([2, 3, 4].map((item) => [item, { user: 'bob', nonce: '', expiresAtMs: 1_001 }]))
  const users = new Map([...redis.users, ['bob', { purchases: 0, holdsExpireAtMs: [1_001, 1_001, 1_001], rights: [] }]])
  assert.deepEqual(
    breachesOf({
      redis: { held, users, terms: { ...terms, items: 4 } },
      recorded: { terms: undefined },
      isComplete: false,
    }),
    {
      over_limit: [{ where: 'Redis', sale: 7, user: 'bob', purchases: 0, live_holds: 3, limit: 2 }],
    },
  )
})

test('an outcome code that nobody knows is named', () => {
  const counts = new Map([...redis.counts, [99, 1]])
  assert.deepEqual(breachesOf({ recorded: { counts } }), {
    attempts_differ: [{ sale: 7, outcome: 'unknown (99)', redis: 0, postgres: 1 }],
  })
})

/** fay, at home in shard 2 of 3 with a limit of 2: one right there and one in shard 0. She has lent the one of shard 0 to shard 1. */
const spread: RedisSale = {
  ...redis,
  shard: 0,
  terms: { ...terms, items: 9, shards: 3 },
  sold: new Map(),
  held: new Map(),
  users: new Map([['fay', { purchases: 0, holdsExpireAtMs: [], rights: [{ peer: 1, lent: 1, got: 0 }] }]]),
  counts: new Map(),
}
const spreadRow = { user: 'fay', peer: 1, lent: 1, got: 0, taken: 0, given: 0 }
const spreadRecord: RecordedSale = {
  ...recorded,
  terms: spread.terms,
  purchases: new Map(),
  counts: new Map(),
  rights: [spreadRow],
}

function spreadBreaches(changed: Changed) {
  return breachesOf({
    ...changed,
    redis: { ...spread, ...changed.redis },
    recorded: { ...spreadRecord, ...changed.recorded },
  })
}

function withRow(row: Partial<typeof spreadRow>): Changed {
  return { recorded: { rights: [{ ...spreadRow, ...row }] } }
}

function reminded(row: Partial<typeof spreadRow>, completePeers: readonly number[] = [1, 2]): string[] {
  const recordedRights = { rights: [{ ...spreadRow, ...row }], isReminded: true }
  return Object.keys(spreadBreaches({ recorded: recordedRights, completePeers }))
}

test('a hold that its user lost may be cut off, where a shard may have forgotten something', () => {
  const held = new Map([[4, { user: 'fay', nonce: 'FFFFFFFFFFFFFFFF', expiresAtMs: 1_400 }]])
  const found = (isReminded: boolean) => Object.keys(spreadBreaches({ redis: { held }, recorded: { isReminded } }))
  assert.deepEqual(found(true), [])
  assert.deepEqual(found(false), ['over_rights', 'user_record_differs'])
  const users = new Map([['fay', { purchases: 0, holdsExpireAtMs: [1_500], rights: [] }]])
  const more = { redis: { held: new Map(), users }, recorded: { isReminded: true, rights: [] } }
  assert.deepEqual(Object.keys(spreadBreaches(more)), ['user_record_differs'], 'what no item has')
})

test('rights that were moved are on record as Redis has them', () => {
  assert.deepEqual([homeShard('fay', 3), spreadBreaches({})], [2, {}])
  const of = { sale: 7, shard: 0, user: 'fay', peer: 1 }
  const differs = (what: string, inRedis: number, postgres: number) => ({
    rights_differ: [{ ...of, what, redis: inRedis, postgres }],
  })
  assert.deepEqual(spreadBreaches(withRow({ lent: 2 })), differs('lent', 1, 2))
  assert.deepEqual(spreadBreaches({ ...withRow({ lent: 2 }), isComplete: false }), differs('lent', 1, 2))
  assert.deepEqual(spreadBreaches(withRow({ got: 1 })), differs('got', 0, 1))
  assert.deepEqual(spreadBreaches({ recorded: { rights: [] } }), differs('lent', 1, 0))
  assert.deepEqual(spreadBreaches({ recorded: { rights: [] }, isComplete: false }), {})
  assert.deepEqual(spreadBreaches(withRow({ lent: 0, taken: 1 })), differs('lent', 1, 0))
})

test('a shard that was admitted during the sale knows what the others had heard of it', () => {
  assert.deepEqual(reminded({ lent: 0, taken: 1 }), [])
  assert.deepEqual(reminded({ lent: 0, taken: 2 }), [])
  assert.deepEqual(reminded({ lent: 0, taken: 0 }), ['rights_differ'])
  assert.deepEqual(reminded({ lent: 0, taken: 0 }, [2]), [], "the other's rows may be on their way")
  assert.deepEqual(reminded({ lent: 2, taken: 2 }, [2]), ['rights_differ'])
})

test('what two shards settled that were admitted during the sale is on record of neither', () => {
  const row = { ...spreadRow, lent: 0 }
  const found = (isReminded: boolean, got: number, peers = [1]) => {
    const users = new Map([['fay', { purchases: 0, holdsExpireAtMs: [], rights: [{ peer: 0, lent: 0, got }] }]])
    const remindedPeers = peers.map((shard) => ({ ...spread, shard, users }))
    return Object.keys(spreadBreaches({ recorded: { rights: [row], isReminded }, remindedPeers }))
  }
  assert.deepEqual(found(true, 1), [])
  assert.deepEqual(found(true, 0), ['rights_differ'], 'the other one knows nothing of it')
  assert.deepEqual(found(true, 1, [2]), ['rights_differ'], 'it is another one')
  assert.deepEqual(found(true, 1, []), ['rights_differ'], 'the other one has forgotten nothing')
  assert.deepEqual(found(false, 1), ['rights_differ'], 'it has forgotten nothing itself')
})

test('nobody has more in a shard than rights there, and nothing of another shard', () => {
  const held = new Map([[4, { user: 'fay', nonce: 'FFFFFFFFFFFFFFFF', expiresAtMs: 2_000 }]])
  const user = { purchases: 0, holdsExpireAtMs: [2_000] }
  const users = (lent: number) => new Map([['fay', { ...user, rights: [{ peer: 1, lent, got: 0 }] }]])
  assert.deepEqual(spreadBreaches({ redis: { held, users: users(1) } }), {
    over_rights: [{ sale: 7, shard: 0, user: 'fay', purchases: 0, live_holds: 1, rights: 0 }],
  })
  const [hold] = [...held.values()]
  assert.ok(hold)
  const elsewhere = new Map([[5, hold]])
  const row = { ...spreadRow, lent: 0 }
  assert.deepEqual(spreadBreaches({ redis: { held: elsewhere, users: users(0) }, recorded: { rights: [row] } }), {
    outside_sale: [{ where: 'Redis', sale: 7, shard: 0, item: 5, shard_of_item: 1 }],
  })
})

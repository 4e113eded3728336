import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SaleTerms } from '../../../core/decisions.ts'
import { outcomes } from '../../../core/outcomes.ts'
import { Breaches, type Check, checks } from './breaches.ts'
import { compareSale, type RecordedSale } from './compare.ts'
import type { RedisSale } from './redis-side.ts'

// Only what test/audit-breaches.test.ts can't plant or would plant at great length.

const terms: SaleTerms = { sale: 7, opensAtMs: 0, closesAtMs: 10_000, items: 3, userLimit: 2, holdMs: 500 }
const purchase = { user: 'ann', nonce: 'AAAAAAAAAAAAAAAA', purchasedAtMs: 40 }

/** ann bought item 1, bob holds item 2, and what carl held has expired at this very moment. */
const redis: RedisSale = {
  terms,
  nowMs: 1_000,
  position: { epoch: 1, seq: 9 },
  sold: new Map([[1, purchase]]),
  held: new Map([
    [2, { user: 'bob', nonce: 'BBBBBBBBBBBBBBBB', expiresAtMs: 1_001 }],
    [3, { user: 'carl', nonce: 'CCCCCCCCCCCCCCCC', expiresAtMs: 1_000 }],
  ]),
  users: new Map([
    ['ann', { purchases: 1, holdsExpireAtMs: [] }],
    ['bob', { purchases: 0, holdsExpireAtMs: [900, 1_001] }],
  ]),
  counts: new Map([
    [outcomes.held.code, 3],
    [outcomes.purchased.code, 1],
  ]),
  unreadable: [],
}
const recorded: RecordedSale = { terms, purchases: redis.sold, counts: redis.counts, latestMs: 990 }

function breachesOf(changed: { redis?: Partial<RedisSale>; recorded?: Partial<RecordedSale>; isComplete?: boolean }) {
  const breaches = new Breaches()
  const { isComplete = true } = changed
  compareSale({ ...redis, ...changed.redis }, { ...recorded, ...changed.recorded }, { breaches, isComplete })
  const found = (Object.keys(checks) as Check[]).filter((check) => breaches.of(check).count > 0)
  return Object.fromEntries(found.map((check) => [check, breaches.of(check).rows]))
}

test('equal sides are no breach, and a hold that expires at this moment takes no slot', () => {
  assert.deepEqual(breachesOf({}), {})
})

test("a hold that lives on in one entry alone is a breach, unless it had ended before Redis' clock stepped back", () => {
  const cutOff = { user: 'carl', nonce: 'CCCCCCCCCCCCCCCC', expiresAtMs: 1_400 }
  const held = new Map([...redis.held, [3, cutOff]])
  const users = new Map([...redis.users, ['dora', { purchases: 0, holdsExpireAtMs: [1_300] }]])
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
  const users = new Map([...redis.users, ['bob', { purchases: 0, holdsExpireAtMs: [1_001, 1_001, 1_001] }]])
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

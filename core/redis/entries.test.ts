import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nonceLength, userIdLengthMax } from '../ids.ts'
import { decodeItemEntry, encodeItemEntry, type ItemEntry, isItemEntrySold, itemEntryTimeMs } from './item-entry.ts'
import { decodeUserEntry, encodeUserEntry, type UserEntry } from './user-entry.ts'

const opensAtMs = 1_764_115_200_000
/** The longest that four bytes hold. */
const sinceOpeningMs = fc.nat({ max: 0xffff_ffff })
const textOf = (characters: readonly string[], constraints: { minLength: number; maxLength: number }) =>
  fc.string({ unit: fc.constantFrom(...characters), ...constraints })
const nonce = textOf(['A', 'z', '0', '_', '-'], { minLength: nonceLength, maxLength: nonceLength })
const user = textOf(['A', 'z', '0', '_', '.', ':', '@', '-', '|', '~', '!', ';'], {
  minLength: 1,
  maxLength: userIdLengthMax,
})

const itemEntry = fc.record<ItemEntry>(
  {
    state: fc.constantFrom('held', 'sold'),
    nonce,
    user,
    atMs: sinceOpeningMs.map((ms) => opensAtMs + ms),
  },
  { noNullPrototype: true },
)
const userEntry = fc.record<UserEntry>(
  {
    purchases: fc.nat({ max: 0xffff }),
    holdsExpireAtMs: fc.array(
      sinceOpeningMs.map((ms) => opensAtMs + ms),
      { maxLength: 20 },
    ),
    rights: fc.uniqueArray(
      fc.record({ peer: fc.nat({ max: 63 }), lent: fc.nat(), got: fc.nat() }, { noNullPrototype: true }),
      { maxLength: 63, selector: ({ peer }) => peer },
    ),
  },
  { noNullPrototype: true },
)

test("what was encoded as an item's entry is decoded as it was", () => {
  fc.assert(
    fc.property(itemEntry, (item) => {
      const entry = encodeItemEntry(item, opensAtMs)
      assert.deepEqual(decodeItemEntry(entry, opensAtMs), item)
      assert.equal(isItemEntrySold(entry), item.state === 'sold')
      assert.equal(itemEntryTimeMs(entry), item.atMs - opensAtMs)
    }),
  )
})

test("what was encoded as a user's entry is decoded as it was", () => {
  fc.assert(
    fc.property(userEntry, (one) => {
      assert.deepEqual(decodeUserEntry(encodeUserEntry(one, opensAtMs, 64), opensAtMs, 64), one)
      const alone = { ...one, rights: [] }
      assert.deepEqual(decodeUserEntry(encodeUserEntry(alone, opensAtMs, 1), opensAtMs, 1), alone)
    }),
  )
})

test('entries are the bytes that Redis holds', () => {
  const item = { state: 'sold', nonce: 'AAAAAAAAAAAAAAAA', user: 'ann', atMs: opensAtMs + 0x0102_0304 } as const
  assert.equal(encodeItemEntry(item, opensAtMs).toString('latin1'), 'sAAAAAAAAAAAAAAAA\u0001\u0002\u0003\u0004ann')
  const holdsExpireAtMs = [opensAtMs + 1, opensAtMs + 0x1_0000]
  const buyer = { purchases: 258, holdsExpireAtMs, rights: [] }
  const own = [1, 2, 0, 0, 0, 1, 0, 1, 0, 0]
  assert.deepEqual(encodeUserEntry(buyer, opensAtMs, 1), Buffer.from(own))
  assert.deepEqual(encodeUserEntry(buyer, opensAtMs, 2), Buffer.from([...own, 0]))
  const rights = [{ peer: 2, lent: 1, got: 256 }]
  const moved = [2, 0, 0, 0, 1, 0, 0, 1, 0]
  assert.deepEqual(encodeUserEntry({ ...buyer, rights }, opensAtMs, 3), Buffer.from([...own, ...moved, 1]))
})

test('what has no known form is no entry', () => {
  const item = encodeItemEntry({ state: 'held', nonce: 'A'.repeat(nonceLength), user: 'a', atMs: opensAtMs }, opensAtMs)
  for (const bytes of [Buffer.alloc(0), item.subarray(0, -1), Buffer.concat([Buffer.from('x'), item.subarray(1)])]) {
    assert.equal(decodeItemEntry(bytes, opensAtMs), undefined)
  }
  for (const length of [0, 1, 3, 5, 7]) assert.equal(decodeUserEntry(Buffer.alloc(length), opensAtMs, 1), undefined)
  for (const length of [0, 1, 2, 4, 8]) assert.equal(decodeUserEntry(Buffer.alloc(length), opensAtMs, 2), undefined)
  assert.equal(decodeUserEntry(Buffer.from([0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 0, 2]), opensAtMs, 3), undefined)
})

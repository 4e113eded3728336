import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack, unpack } from 'msgpackr'
import { afterCode, BatchReader, BatchWriter, DecisionReader, decodeOpenedSale } from './decisions.ts'
import { Fault } from './faults.ts'

function isMalformed(error: unknown): boolean {
  return error instanceof Fault && error.code === 'HC_LOG_MALFORMED'
}

test('a batch is read as it was written', () => {
  const writer = new BatchWriter(3_600_000)
  const commands: readonly [number, string, string, string][] = [
    [498_732, '1', 'n'.repeat(16), 'ann'],
    [999_999_999_999_999, '999999999999999', 'm'.repeat(16), 'x'.repeat(64)],
    [0, '0', '_'.repeat(16), ''],
  ]
  for (const command of commands) writer.add(...command)
  assert.equal(writer.commandCount, commands.length)

  const reader = new BatchReader(writer.encode().entry)
  assert.equal(reader.commandCount, commands.length)
  for (const command of commands) {
    assert.ok(reader.next())
    assert.deepEqual([reader.sale, reader.index, reader.nonce, reader.user], command)
  }
  assert.ok(!reader.next())
})

test('what stands behind a code is not of it, and gives the batch a version that older readers refuse', () => {
  const nonce = 'n'.repeat(16)
  const versionOf = (behind: string, user = '') => {
    const writer = new BatchWriter(3_600_000)
    writer.add(7, '1', nonce + behind, user)
    const { entry } = writer.encode()
    const reader = new BatchReader(entry)
    assert.ok(reader.next())
    assert.deepEqual([reader.nonce, reader.isRelease], [nonce, behind.startsWith('-')])
    return (unpack(entry) as unknown[])[0]
  }
  const ofAnn = { buyer: 'ann' }
  const behind = [{}, ofAnn, { isRelease: true }, { ...ofAnn, isRelease: true }].map((one) => afterCode(one))
  assert.deepEqual(behind, ['', '@ann', '-', '-@ann'])
  assert.deepEqual(
    behind.map((text) => versionOf(text)),
    [1, 2, 2, 2],
  )
  assert.equal(versionOf(';1,2,3', 'ann'), 1, 'a checkout that brings a right')
  assert.throws(() => new BatchReader(pack([3, 3_600_000, 7, '1', nonce, ''])), isMalformed)
})

test('decisions carry the details of their outcomes, as absolute times', () => {
  const nowMs = 1_795_438_522_102
  const details = [1, 600_000, 2, 'N'.repeat(16), 5_000, 7, 1, 21, 'ann', 22, 'bob', 86_400_000, 23]
  const reader = new DecisionReader(pack([nowMs, ...details]))
  const seen: unknown[] = []
  while (reader.next()) {
    const { outcome, nonce, user, expiresAtMs, purchasedAtMs } = reader
    if (outcome === 'held' || outcome === 'item_held') seen.push([outcome, expiresAtMs - nowMs])
    else if (outcome === 'held_again') seen.push([outcome, nonce, expiresAtMs - nowMs])
    else if (outcome === 'purchased' || outcome === 'purchased_again') seen.push([outcome, user, nowMs - purchasedAtMs])
    else seen.push([outcome])
  }
  assert.deepEqual(seen, [
    ['held', 600_000],
    ['held_again', 'N'.repeat(16), 5_000],
    ['item_held', 1],
    ['purchased', 'ann', 0],
    ['purchased_again', 'bob', 86_400_000],
    ['code_unknown'],
  ])
})

test('an opened sale is seven numbers, and eight of several shards', () => {
  const opened = decodeOpenedSale(pack([7, 1_000, 2_000, 10, 3, 600, 900]))
  assert.deepEqual(opened, {
    sale: 7,
    opensAtMs: 1_000,
    closesAtMs: 2_000,
    items: 10,
    userLimit: 3,
    holdMs: 600,
    shards: 1,
    openedAtMs: 900,
  })
  assert.equal(decodeOpenedSale(pack([7, 1_000, 2_000, 10, 3, 600, 900, 5])).shards, 5)
  assert.throws(() => decodeOpenedSale(pack([7, 1_000])), isMalformed)
  assert.throws(() => decodeOpenedSale(pack([7, 1, 2, 3, 4, 5, 6, 7, 8])), isMalformed)
  assert.throws(() => decodeOpenedSale(pack(['7', 1, 2, 3, 4, 5, 6])), isMalformed)
})

test('what is not of the format is a coded fault', () => {
  assert.throws(() => new BatchReader(pack([3, 1])), isMalformed)
  assert.throws(() => new BatchReader(pack([1, 1, 5, '1'])), isMalformed)
  assert.throws(() => new BatchReader(Buffer.from([0xc1])), isMalformed)
  assert.throws(() => new BatchReader(pack({ a: 1 })), isMalformed)
  assert.throws(() => new DecisionReader(Buffer.alloc(0)), isMalformed)
  const reader = new DecisionReader(pack([1, 99]))
  assert.throws(() => reader.next(), isMalformed)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

// oxlint-disable-next-line no-restricted-imports -- stands in for Redis, which packs the results
import { Packr } from 'msgpackr'

import { BatchWriter, lendNonce } from '../core/decisions.ts'
import type { Fault } from '../core/faults.ts'
import { outcomes, replies } from '../core/outcomes.ts'
import { gatherChunk, type LogChunk } from './log-chunk.ts'
import type { LogEntry } from './log-reader.ts'
import { RowEncoder } from './row-encoder.ts'

const nowMs = Date.UTC(2026, 0, 31, 23, 59, 59, 500)
const now = '2026-01-31T23:59:59.500Z'
const inTenMinutes = '2026-02-01T00:09:59.500Z'
const nonce = 'AAAAAAAAAAAAAAAA'
const other = 'BBBBBBBBBBBBBBBB'
const packr = new Packr({ useRecords: false })

type Command = readonly [sale: number, index: string, nonce: string, user: string]

function batch(seq: number, commands: readonly Command[], results: readonly (number | string)[]): LogEntry {
  const writer = new BatchWriter(3_600_000)
  for (const [sale, index, code, user] of commands) writer.add(sale, index, code, user)
  return { position: { epoch: 3, seq }, kind: 'batch', message: writer.encode().entry, results: packr.pack(results) }
}

/** Of values that no writer puts there. */
function spoilt(command: readonly unknown[], results: readonly (number | string)[]): LogEntry {
  const message = packr.pack([1, 3_600_000, ...command])
  return { position: { epoch: 3, seq: 1 }, kind: 'batch', message, results: packr.pack(results) }
}

function chunkOf(entries: readonly LogEntry[], afterSeq = 0): LogChunk {
  const after = { epoch: 3, seq: afterSeq }
  return gatherChunk(entries, { shard: 3, run: 'run', after, bytesMax: Number.POSITIVE_INFINITY })
}

function encoded(...entries: readonly LogEntry[]): RowEncoder {
  const encoder = new RowEncoder()
  encoder.encode(chunkOf(entries))
  return encoder
}

function lines(text: Buffer): string[] {
  return text.toString().split('\n').slice(0, -1)
}

test('each checkout is a row, and only one that gave a code has a code and an expiry', () => {
  const { held, held_again, item_held, item_sold, sale_gone } = outcomes
  const commands = [
    [7, '1', nonce, 'ann'],
    [7, '2', nonce, 'bob'],
    [7, '3', nonce, 'cid'],
    [7, '4', nonce, 'dan'],
    [5, '999999999999999', nonce, 'eve'],
  ] as const
  const decisions = [[held.code, 600_000], [held_again.code, other, 1_000], [item_held.code, 2_000], [item_sold.code]]
  const results = [nowMs, ...decisions.flat(), sale_gone.code]
  const rows = encoded(batch(1, commands, results))
  assert.deepEqual(lines(rows.checkouts.text), [
    `${now}\t3\t1\t0\t7\t1\tann\t1\t${nonce}\t${inTenMinutes}`,
    `${now}\t3\t1\t1\t7\t2\tbob\t2\t${other}\t2026-02-01T00:00:00.500Z`,
    `${now}\t3\t1\t2\t7\t3\tcid\t7\t\\N\t\\N`,
    `${now}\t3\t1\t3\t7\t4\tdan\t6\t\\N\t\\N`,
    `${now}\t3\t1\t4\t5\t999999999999999\teve\t9\t\\N\t\\N`,
  ])
  assert.equal(rows.checkouts.rowCount, 5)
  assert.equal(rows.purchaseAttempts.rowCount + rows.purchases.rowCount, 0)
})

test('each purchase is a row, and one that sold is a purchase besides', () => {
  const { purchased, purchased_again, code_unknown, code_expired } = outcomes
  const commands = ['1', '2', '3', '4'].map((index) => [7, index, nonce, ''] as const)
  const decisions = [[purchased.code, 'ann'], [purchased_again.code, 'bob', 5_000], [code_unknown.code]]
  const results = [nowMs, ...decisions.flat(), code_expired.code]
  const rows = encoded(batch(1, commands, results))
  assert.deepEqual(lines(rows.purchaseAttempts.text), [
    `${now}\t3\t1\t0\t7\t1\t${nonce}\t21\tann`,
    `${now}\t3\t1\t1\t7\t2\t${nonce}\t22\tbob`,
    `${now}\t3\t1\t2\t7\t3\t${nonce}\t23\t\\N`,
    `${now}\t3\t1\t3\t7\t4\t${nonce}\t24\t\\N`,
  ])
  assert.deepEqual(lines(rows.purchases.text), [`${now}\t3\t1\t0\t7\t1\t${nonce}\tann`])
})

test('each release is a row of its own table, whoever the code has to be of', () => {
  const { released, released_again, release_sold, release_of_another, purchased, code_of_another } = outcomes
  const commands = [
    [7, '1', `${nonce}-`, ''],
    [7, '2', `${nonce}-@bob`, ''],
    [7, '3', `${nonce}@ann`, ''],
    [7, '4', `${nonce}-`, ''],
    [7, '5', `${nonce}-@eve`, ''],
    [7, '6', `${nonce}@eve`, ''],
  ] as const
  const decisions = [[released.code, 'ann'], [released_again.code, 'bob'], [purchased.code, 'ann'], [release_sold.code]]
  const results = [nowMs, ...decisions.flat(), release_of_another.code, code_of_another.code]
  const rows = encoded(batch(1, commands, results))
  assert.deepEqual(lines(rows.releaseAttempts.text), [
    `${now}\t3\t1\t0\t7\t1\t${nonce}\t11\tann`,
    `${now}\t3\t1\t1\t7\t2\t${nonce}\t12\tbob`,
    `${now}\t3\t1\t3\t7\t4\t${nonce}\t13\t\\N`,
    `${now}\t3\t1\t4\t7\t5\t${nonce}\t17\t\\N`,
  ])
  assert.deepEqual(lines(rows.purchaseAttempts.text), [
    `${now}\t3\t1\t2\t7\t3\t${nonce}\t21\tann`,
    `${now}\t3\t1\t5\t7\t6\t${nonce}\t26\t\\N`,
  ])
  assert.equal(rows.purchases.rowCount, 1)
})

test('a release that was decided as a purchase can not be read, nor a purchase that was released', () => {
  const malformed = { code: 'HC_LOG_MALFORMED' }
  const { purchased, released } = outcomes
  assert.throws(() => encoded(batch(1, [[7, '1', `${nonce}-`, '']], [nowMs, purchased.code, 'ann'])), malformed)
  assert.throws(() => encoded(batch(1, [[7, '1', nonce, '']], [nowMs, released.code, 'ann'])), malformed)
})

test('purchases of a chunk stand in the order of their primary key, whole batches of it', () => {
  const { purchased } = outcomes
  const sold = (seq: number, items: readonly (readonly [sale: number, index: string])[]) =>
    batch(
      seq,
      items.map(([sale, index]) => [sale, index, nonce, ''] as const),
      [nowMs, ...items.flatMap(() => [purchased.code, 'ann'])],
    )
  const first = sold(1, [
    [7, '30'],
    [7, '4'],
    [6, '9'],
  ])
  const rows = encoded(
    first,
    sold(2, [
      [7, '10'],
      [6, '10'],
    ]),
  )
  const keys = lines(rows.purchases.text).map((line) => line.split('\t').slice(2, 6).join(' '))
  assert.deepEqual(keys, ['1 2 6 9', '2 1 6 10', '1 1 7 4', '2 0 7 10', '1 0 7 30'])
  assert.equal(rows.purchases.rowCount, 5)
})

test('places count commands of both operations in one row', () => {
  const commands = [
    [7, '1', nonce, 'ann'],
    [7, '1', nonce, ''],
    [7, '2', nonce, 'bob'],
  ] as const
  const results = [nowMs, outcomes.item_sold.code, outcomes.code_unknown.code, outcomes.item_sold.code]
  const rows = encoded(batch(1, commands, results))
  assert.deepEqual(
    [...lines(rows.checkouts.text), ...lines(rows.purchaseAttempts.text)].map((line) => line.split('\t')[3]),
    ['0', '2', '1'],
  )
})

const loan = lendNonce

test('a command that decided nothing has neither a row nor a place', () => {
  const { misplaced, rights_elsewhere, not_listed, not_lent } = replies
  const commands = [
    [7, '1', nonce, 'ann'],
    [7, '2', nonce, 'bob'],
    [7, '3', nonce, ''],
    [7, '0', loan, 'bob'],
    [7, '4', nonce, 'cid'],
  ] as const
  const nothing = [misplaced.code, 3, rights_elsewhere.code, not_listed.code, not_lent.code, 3, '0,0;1,0']
  const rows = encoded(batch(1, commands, [nowMs, ...nothing, outcomes.item_sold.code]))
  assert.deepEqual(lines(rows.checkouts.text), [`${now}\t3\t1\t0\t7\t4\tcid\t6\t\\N\t\\N`])
  assert.equal(rows.purchaseAttempts.rowCount + rows.transfers.rowCount, 0)
})

test('each right that moves is a row where its command has its place', () => {
  const { lent, received, rights_elsewhere, not_lent } = replies
  const { held } = outcomes
  const commands = [
    [7, '2', loan, 'ann'],
    [7, '1', `${nonce};1,4,2;2,1,1`, 'bob'],
    [7, '1', `${nonce}!;1,4,3`, 'cid'],
    [7, '0', `${loan};1,4,1`, 'dan'],
    [7, '0', `${loan};2,4,7`, 'eve'],
    [7, '4', nonce, 'fay'],
  ] as const
  const decisions = [
    [lent.code, 3, '0,0,5,0;0,0,0,0'],
    [received.code, '1,2;2,1', held.code, 600_000],
    [received.code, '1,3', rights_elsewhere.code],
    [received.code, '1,1', not_lent.code, 3, '0,0,0,0;0,1,0,0'],
    [received.code, '2,7', lent.code, 3, '1,0,0,0;0,0,7,0'],
    [outcomes.item_sold.code],
  ]
  const rows = encoded(batch(1, commands, [nowMs, ...decisions.flat()]))
  assert.deepEqual(lines(rows.transfers.text), [
    `${now}\t3\t3\t1\t0\t7\tann\t2\t1\t5`,
    `${now}\t3\t3\t1\t1\t7\tbob\t1\t2\t2`,
    `${now}\t3\t3\t1\t1\t7\tbob\t2\t2\t1`,
    `${now}\t3\t3\t1\t2\t7\tcid\t1\t2\t3`,
    `${now}\t3\t3\t1\t3\t7\tdan\t1\t2\t1`,
    `${now}\t3\t3\t1\t4\t7\teve\t2\t2\t7`,
    `${now}\t3\t3\t1\t4\t7\teve\t0\t1\t1`,
  ])
  assert.equal(rows.transfers.rowCount, 7)
  assert.deepEqual(lines(rows.checkouts.text), [
    `${now}\t3\t1\t1\t7\t1\tbob\t1\t${nonce}\t${inTenMinutes}`,
    `${now}\t3\t1\t5\t7\t4\tfay\t6\t\\N\t\\N`,
  ])
})

test('an opened sale and the days of the attempts are kept for the transaction', () => {
  const terms = { sale: 7, opensAtMs: 1, closesAtMs: 2, items: 3, userLimit: 4, holdMs: 5 }
  const message = packr.pack([...Object.values(terms), 6])
  const spread = packr.pack([...Object.values(terms), 6, 3])
  const opened = { position: { epoch: 3, seq: 1 }, kind: 'opened', message, results: undefined } as const
  const nextDayMs = nowMs + 500
  const encoder = encoded(
    opened,
    batch(2, [[7, '1', nonce, 'ann']], [nowMs, outcomes.item_sold.code]),
    batch(3, [[7, '1', nonce, 'ann']], [nextDayMs, outcomes.item_sold.code]),
    { ...opened, position: { epoch: 3, seq: 4 }, message: spread },
  )
  assert.deepEqual(encoder.openedSales, [
    { ...terms, shards: 1, openedAtMs: 6 },
    { ...terms, shards: 3, openedAtMs: 6 },
  ])
  assert.deepEqual(
    [...encoder.days],
    [nowMs, nextDayMs].map((ms) => Math.floor(ms / 86_400_000)),
  )
})

test('a chunk leaves nothing behind for the next one', () => {
  const encoder = encoded(batch(1, [[7, '1', nonce, 'ann']], [nowMs, outcomes.item_sold.code]))
  encoder.encode(chunkOf([batch(2, [[7, '1', nonce, '']], [0, outcomes.code_unknown.code])], 1))
  assert.deepEqual([encoder.checkouts.rowCount, encoder.purchaseAttempts.rowCount], [0, 1])
  assert.deepEqual([...encoder.days], [0])
})

test('a user that holds what COPY would read as a separator stays one field', () => {
  const user = 'a\tb\\N\nc'
  const rows = encoded(batch(1, [[7, '1', nonce, user]], [nowMs, outcomes.item_sold.code]))
  assert.equal(lines(rows.checkouts.text)[0]?.split('\t')[6], String.raw`a\tb\\N\nc`)
})

test('an entry that does not fit together is a fault that names it', () => {
  const commands = [[7, '1', nonce, 'ann']] as const
  const malformed = { code: 'HC_LOG_MALFORMED', message: /3-1/ }
  assert.throws(() => encoded(batch(1, commands, [nowMs])), malformed)
  assert.throws(() => encoded(batch(1, commands, [nowMs, 6, 6])), malformed)
  assert.throws(() => encoded(batch(1, commands, [nowMs, 99])), malformed)
})

test('an entry of values that no column takes is malformed, and no message repeats them', () => {
  const good = [7, '1', nonce, 'ann'] as const
  const { held, held_again, purchased } = outcomes
  const entries = [
    batch(1, [good], ['ann', 6]),
    batch(1, [good], [Number.NaN, 6]),
    batch(1, [good], [8.64e15, 6]),
    batch(1, [good], [nowMs, 'ann']),
    batch(1, [good], [nowMs, held.code, 'ann']),
    batch(1, [good], [nowMs, held_again.code, 3, 1_000]),
    batch(1, [[7, '1', nonce, '']], [nowMs, purchased.code, 5]),
    spoilt(['ann', '1', nonce, 'ann'], [nowMs, 6]),
    spoilt([7, '1', nonce, 5], [nowMs, 6]),
    spoilt([7, '1', null, 'ann'], [nowMs, 6]),
    spoilt([7, '1', 5, 'ann'], [nowMs, 6]),
    batch(1, [[7, '9', loan, 'ann']], [nowMs, replies.lent.code, 3, '0,1;0,0']),
    batch(1, [[7, '', loan, 'ann']], [nowMs, replies.lent.code, 3, '0,1;0,0']),
    batch(1, [[7, '1', loan, 'ann']], [nowMs, replies.lent.code, 3, 'ann']),
    batch(1, [good], [nowMs, replies.received.code, 'ann,1', 6]),
    batch(1, [good], [nowMs, replies.received.code, '1,1', replies.received.code]),
    { position: { epoch: 3, seq: 1 }, kind: 'batch', message: packr.pack(['ann']), results: packr.pack([nowMs]) },
    {
      position: { epoch: 3, seq: 1 },
      kind: 'opened',
      message: packr.pack([7, 8.64e15, 2, 3, 4, 5, 6]),
      results: undefined,
    },
  ] as const satisfies readonly LogEntry[]
  for (const [at, entry] of entries.entries()) {
    assert.throws(
      () => encoded(entry),
      ({ code, message }: Fault) => code === 'HC_LOG_MALFORMED' && message.includes('3-1') && !message.includes('ann'),
      `entry ${at}`,
    )
  }
})

test('what stands before an entry that can not be read is encoded, and nothing of it', () => {
  const commands = [
    [7, '1', nonce, 'ann'],
    [7, '2', nonce, 'bob'],
  ] as const
  const encoder = new RowEncoder()
  const entries = [
    batch(1, commands, [nowMs, 6, 6]),
    batch(2, commands, [nowMs, 6, 6]),
    batch(3, commands, [nowMs + 500, 6]),
    batch(4, commands, [nowMs, 6, 6]),
  ]
  const until = encoder.encode(chunkOf(entries))
  assert.deepEqual(until, { through: { epoch: 3, seq: 2 }, entries: 2 })
  assert.equal(lines(encoder.checkouts.text).length, 4)
  assert.equal(encoder.days.size, 1)
})

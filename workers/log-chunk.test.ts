import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseLogPosition } from '../core/log-position.ts'
import { ChunkReader, entryCount, gatherChunk, type LogChunk } from './log-chunk.ts'
import type { LogEntry } from './log-reader.ts'

function batch(id: string, message = 'message', results = 'results'): LogEntry {
  return {
    position: parseLogPosition(id),
    kind: 'batch',
    message: Buffer.from(message),
    results: Buffer.from(results),
  }
}

function opened(id: string, message: string): LogEntry {
  return { position: parseLogPosition(id), kind: 'opened', message: Buffer.from(message), results: undefined }
}

function gather(entries: readonly LogEntry[], after: string, bytesMax = Number.POSITIVE_INFINITY): LogChunk {
  return gatherChunk(entries, { shard: 3, run: 'run', after: parseLogPosition(after), bytesMax })
}

function entriesOf(chunk: LogChunk): string[] {
  const reader = new ChunkReader(chunk)
  const entries: string[] = []
  while (reader.next()) {
    const [message, results] = [reader.message, reader.results].map((bytes) => Buffer.from(bytes).toString())
    entries.push(`${reader.epoch}-${reader.seq} ${message} ${results}`)
  }
  return entries
}

function gatheredIds(ids: readonly string[], after: string): string[] {
  const entries = ids.map((id) => batch(id, 'm', 'r'))
  return entriesOf(gather(entries, after)).map((entry) => entry.split(' ')[0] ?? '')
}

test('a chunk gives back what was gathered', () => {
  const entries = [opened('1-1', 'sale'), batch('1-2', 'a', 'bb'), batch('1-3', 'ccc', 'd')]
  const chunk = gather(entries, '0-0')
  assert.deepEqual(entriesOf(chunk), ['1-1 sale ', '1-2 a bb', '1-3 ccc d'])
  assert.deepEqual([chunk.shard, chunk.run], [3, 'run'])
  assert.deepEqual([chunk.after, chunk.through], [parseLogPosition('0-0'), parseLogPosition('1-3')])
  assert.equal(entryCount(chunk), 3)
})

test('a chunk survives the way to a thread', () => {
  const chunk = gather([batch('1-1', 'a', 'b')], '0-0')
  const moved = structuredClone(chunk, { transfer: [chunk.index.buffer, chunk.bytes.buffer] })
  assert.deepEqual(entriesOf(moved), ['1-1 a b'])
})

test('a chunk ends where the bytes would be too many, but has one entry at least', () => {
  const entries = ['1-1', '1-2', '1-3'].map((id) => batch(id, '12345', '67890'))
  const countWithin = (bytesMax: number) => entryCount(gather(entries, '1-0', bytesMax))
  assert.deepEqual([5, 10, 19, 20, 29, 30].map(countWithin), [1, 1, 1, 2, 2, 3])
})

test('entries follow one another by one, and a chunk ends with its epoch', () => {
  assert.deepEqual(gatheredIds(['4-8', '4-9', '5-1', '5-2', '9-1'], '4-7'), ['4-8', '4-9'])
})

test('a chunk may begin with a new epoch, which starts at 1', () => {
  assert.deepEqual(gatheredIds(['5-1', '5-2', '9-1'], '4-9'), ['5-1', '5-2'])
  assert.deepEqual(gatheredIds(['9-1', '9-2'], '4-9'), ['9-1', '9-2'])
})

test('a chunk ends before a gap', () => {
  assert.deepEqual(gatheredIds(['1-1', '1-2', '1-4'], '1-0'), ['1-1', '1-2'])
  assert.deepEqual(gatheredIds(['1-1', '2-2'], '1-0'), ['1-1'])
})

test('a gap at the very start is a fault that names both sides', () => {
  const gap = { code: 'HC_LOG_GAP', message: /1-7.*1-9/ }
  assert.throws(() => gatheredIds(['1-9'], '1-7'), gap)
  for (const next of ['2-2', '2-0', '1-7', '0-8']) {
    assert.throws(() => gatheredIds([next], '1-7'), { code: 'HC_LOG_GAP' }, next)
  }
})

test('a chunk whose ends fall, or that holds more than its entries, is a bug', () => {
  const chunk = gather([batch('1-1', 'abc', 'de'), batch('1-2', 'f', 'g')], '1-0')
  const fallen: LogChunk = { ...chunk, index: Float64Array.from(chunk.index, (end, at) => (at === 6 ? 2 : end)) }
  const longer: LogChunk = { ...chunk, bytes: new Uint8Array(chunk.bytes.length + 1) }
  for (const broken of [fallen, longer]) assert.throws(() => entriesOf(broken), { name: 'AssertionError' })
  assert.throws(() => gather([], '1-0'), { name: 'AssertionError' })
})

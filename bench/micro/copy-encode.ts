import { BatchReader, DecisionReader } from '../../core/decisions.ts'
import { outcomes } from '../../core/outcomes.ts'
import { firstShard } from '../../core/shards.ts'
import { copyField, copyNull, copyTime } from '../../workers/copy-text.ts'
import { ChunkReader, gatherChunk, type LogChunk } from '../../workers/log-chunk.ts'
import { RowEncoder } from '../../workers/row-encoder.ts'
import { sampleEntries } from './sample-sale.ts'
import type { Case, Scale, Subject } from './subject.ts'

// Checkouts only: one table is enough to compare ways to build its text. All candidates decode the log in the same way
// and their texts are compared byte by byte.

const bytesMax = 16 * 1024 * 1024

/** The fields of a row of checkout_attempts, in the order of its columns, each escaped already. */
type Emit = (fields: readonly (string | number)[]) => void

function eachCheckout(chunk: LogChunk, emit: Emit): void {
  const entry = new ChunkReader(chunk)
  while (entry.next()) {
    const commands = new BatchReader(entry.message)
    const decisions = new DecisionReader(entry.results)
    const decidedAt = copyTime(decisions.nowMs)
    for (let n = 0; commands.next() && decisions.next(); n++) {
      const { outcome } = decisions
      const hasHold = outcome === 'held' || outcome === 'held_again'
      const nonce = outcome === 'held_again' ? decisions.nonce : commands.nonce
      emit([
        decidedAt,
        entry.epoch,
        entry.seq,
        n,
        commands.sale,
        copyField(commands.index),
        copyField(commands.user),
        outcomes[outcome].code,
        hasHold ? copyField(nonce) : copyNull,
        hasHold ? copyTime(decisions.expiresAtMs) : copyNull,
      ])
    }
  }
}

function joinedRows(chunk: LogChunk): Buffer {
  const rows: string[] = []
  eachCheckout(chunk, (fields) => rows.push(fields.join('\t')))
  return Buffer.from(`${rows.join('\n')}\n`)
}

function writtenFields(chunk: LogChunk, bytes: Buffer): Buffer {
  const [tab, newline] = [9, 10]
  let at = 0
  eachCheckout(chunk, (fields) => {
    for (const field of fields) {
      at += bytes.write(String(field), at, 'latin1')
      bytes[at++] = tab
    }
    bytes[at - 1] = newline
  })
  return bytes.subarray(0, at)
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const operations = smoke ? 64 : 4_096
  const chunk = gatherChunk(sampleEntries(operations, 64), {
    shard: firstShard,
    run: '',
    after: { epoch: 1, seq: 0 },
    bytesMax,
  })
  const encoder = new RowEncoder()
  const bytes = Buffer.allocUnsafe(4 * 1024 * 1024)
  const ways: Record<string, () => Buffer> = {
    'RowEncoder: a text a batch': () => {
      encoder.encode(chunk)
      return encoder.checkouts.text
    },
    'fields joined to rows, rows to a text': () => joinedRows(chunk),
    'field by field into a buffer': () => writtenFields(chunk, bytes),
  }
  const candidates = Object.entries(ways).map(([name, encode]) => {
    return { name, run: () => encode().length, operations, result: () => encode().toString('latin1') }
  })
  yield { name: 'checkout_attempts', operation: 'row', candidates }
}

export const copyEncode: Subject = {
  name: 'copy-encode',
  about: 'log entries -> the text of a COPY: a text a batch, rows of joined fields, fields written into a buffer',
  cases,
}

import assert from 'node:assert/strict'
import { Fault } from '../core/faults.ts'
import { formatLogPosition, type LogPosition } from '../core/log-position.ts'
import type { LogEntry } from './log-reader.ts'

/**
 * Consecutive log entries on their way to the copy thread: two plain arrays whose memory is handed over, not copied. The
 * Redis client's Buffers would not do: each would take along the whole block that it was received in.
 */
export interface LogChunk {
  /** Whose log it is a part of. */
  readonly shard: number
  /** The run of Redis that it was read from. */
  readonly run: string
  /** The position that they follow. */
  readonly after: LogPosition
  /** The position of the last one: beyond `after`, as each follows the one before it. All are of its epoch. */
  readonly through: LogPosition
  /** fieldsPerEntry numbers an entry: epoch, seq, end of the message and end of the results in `bytes`. Ends never fall. */
  readonly index: Float64Array<ArrayBuffer>
  /** Message and results of each entry, one after the other; an opened sale has no results, so the ends are equal. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

const fieldsPerEntry = 4

export interface ChunkBounds {
  readonly shard: number
  readonly run: string
  /** The position that the chunk has to follow. */
  readonly after: LogPosition
  readonly bytesMax: number
}

export function entryCount(chunk: LogChunk): number {
  return chunk.index.length / fieldsPerEntry
}

/**
 * The first entries, as many as follow one another in one epoch and `bytesMax` holds, but at least one. `entries` is not
 * empty.
 * @throws Fault HC_LOG_GAP when already the first entry does not follow `after`
 */
export function gatherChunk(entries: readonly LogEntry[], { shard, run, after, bytesMax }: ChunkBounds): LogChunk {
  assert.ok(entries.length > 0)
  const { count, length } = fittingEntries(entries, after, bytesMax)
  const index = new Float64Array(count * fieldsPerEntry)
  const bytes = new Uint8Array(length)
  let end = 0
  let through = after
  for (let at = 0; at < count; at++) {
    const { position, message, results } = entries[at] as LogEntry
    bytes.set(message, end)
    end += message.length
    const messageEnd = end
    if (results !== undefined) {
      bytes.set(results, end)
      end += results.length
    }
    index.set([position.epoch, position.seq, messageEnd, end], at * fieldsPerEntry)
    through = position
  }
  assert.equal(end, length)
  return { shard, run, after, through, index, bytes }
}

function fittingEntries(entries: readonly LogEntry[], after: LogPosition, bytesMax: number) {
  let count = 0
  let length = 0
  let last = after
  for (const { position, message, results } of entries) {
    const size = message.length + (results?.length ?? 0)
    // Whether the next epoch follows on this one is Postgres' to say, once a transaction: see copier.ts.
    const isSame = position.epoch === last.epoch && position.seq === last.seq + 1
    if (count > 0 && (length + size > bytesMax || !isSame)) break
    if (!isSame && !beginsEpoch(position, last)) {
      const [from, to] = [formatLogPosition(last), formatLogPosition(position)]
      throw new Fault('HC_LOG_GAP', `after the log entry ${from} comes ${to}`)
    }
    count++
    length += size
    last = position
  }
  return { count, length }
}

/** Seq counts by one inside an epoch and starts at 1 in the next: anything else means that entries are missing. */
function beginsEpoch(position: LogPosition, last: LogPosition): boolean {
  return position.epoch > last.epoch && position.seq === 1
}

/** A cursor over the entries of a chunk: `next()` moves to the first and then to each following one. */
export class ChunkReader {
  epoch = 0
  seq = 0
  message: Uint8Array = new Uint8Array()
  /** Empty for an opened sale. */
  results: Uint8Array = new Uint8Array()
  readonly #chunk: LogChunk
  /** In `index`, of the next entry. */
  #at = 0
  /** In `bytes`: what stands before it was given out. */
  #end = 0

  constructor(chunk: LogChunk) {
    this.#chunk = chunk
  }

  next(): boolean {
    const { index, bytes } = this.#chunk
    const at = this.#at
    if (at >= index.length) {
      assert.equal(this.#end, bytes.length, 'the entries are all that a chunk holds')
      return false
    }
    const messageEnd = index[at + 2] as number
    const end = index[at + 3] as number
    assert.ok(this.#end <= messageEnd && messageEnd <= end && end <= bytes.length)
    this.epoch = index[at] as number
    this.seq = index[at + 1] as number
    this.message = bytes.subarray(this.#end, messageEnd)
    this.results = bytes.subarray(messageEnd, end)
    this.#end = end
    this.#at = at + fieldsPerEntry
    return true
  }
}

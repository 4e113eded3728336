import { createHash } from 'node:crypto'

import { cursorLengthMax, shardsMax } from '../../../core/limits.ts'

/**
 * How far a reader is: in each shard's log a place, up to which it has everything. Rows get into Postgres in the order of
 * their log, so no row can come before such a place any more; over several logs there is no such order. A shard that is not
 * in the cursor (the shop has grown) is read from its beginning.
 */
export interface Cursor {
  /** The first characters of the record's identity. */
  readonly record: string
  /** By the numbers of the shards, from the first on. */
  readonly shards: readonly ShardCursor[]
}

export interface LogPlace {
  readonly epoch: number
  readonly batch: number
  /** `wholeEntry`: everything of the log entry. */
  readonly n: number
}

export interface ShardCursor extends LogPlace {
  /** The item of the last purchase of this shard that the reader was given. */
  readonly last: { readonly sale: number; readonly index: number } | undefined
  /** Tells this history from another one with the same numbers: see `historyMark`. */
  readonly mark: string
}

/** The greatest smallint: no batch has so many places. */
export const wholeEntry = 32_767
export const logBeginning: LogPlace = { epoch: 0, batch: 0, n: wholeEntry }

const version = 'c1'
const recordLength = 8
const markLength = 8
const checkLength = 6
const number = String.raw`(0|[1-9]\d{0,15})`
const shardPattern = new RegExp(`^${[number, number, number, number, number].join('_')}_([0-9a-f]{${markLength}})$`)
const recordPattern = new RegExp(`^[0-9a-f-]{${recordLength}}$`)

/** Negative, zero or positive as `a` stands before, at or after `b`. */
export function comparePlaces(a: LogPlace, b: LogPlace): number {
  return a.epoch - b.epoch || a.batch - b.batch || a.n - b.n
}

export function recordPrefix(record: string): string {
  return record.slice(0, recordLength)
}

/**
 * Of the run of Redis that the place's epoch began with, and of the last purchase that was given. Where Postgres was put back to an
 * older copy, numbers are given out a second time, but not to the same run and the same purchase.
 */
export function historyMark(run: string, last: (LogPlace & { readonly nonce: string }) | undefined): string {
  const purchase = last === undefined ? '' : [last.epoch, last.batch, last.n, last.nonce].join(' ')
  return digest(`${run} ${purchase}`, markLength)
}

/** Of characters that need no escapes in a URL. Opaque to readers: the form may change. */
export function formatCursor({ record, shards }: Cursor): string {
  const parts = shards.map(({ epoch, batch, n, last, mark }) =>
    [epoch, batch, n, last?.sale ?? 0, last?.index ?? 0, mark].join('_'),
  )
  const text = [version, record, ...parts].join('~')
  return `${text}~${digest(text, checkLength)}`
}

/** `undefined` when the text is none that formatCursor has made: whole, with its check, as a part of it would repeat purchases. */
export function parseCursor(text: string): Cursor | undefined {
  if (text.length > cursorLengthMax) return undefined
  const end = text.lastIndexOf('~')
  if (end === -1 || digest(text.slice(0, end), checkLength) !== text.slice(end + 1)) return undefined
  const [is, record = '', ...parts] = text.slice(0, end).split('~')
  if (is !== version || !recordPattern.test(record) || parts.length === 0 || parts.length > shardsMax) return undefined
  const shards = parts.map(parseShard)
  return shards.includes(undefined) ? undefined : { record, shards: shards as ShardCursor[] }
}

function parseShard(text: string): ShardCursor | undefined {
  const match = shardPattern.exec(text)
  if (match === null) return undefined
  const [epoch = 0, batch = 0, n = 0, sale = 0, index = 0] = match.slice(1, 6).map(Number)
  const isExact = [epoch, batch, sale, index].every(Number.isSafeInteger)
  if (!isExact || n > wholeEntry) return undefined
  return { epoch, batch, n, last: index === 0 ? undefined : { sale, index }, mark: match[6] ?? '' }
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length)
}

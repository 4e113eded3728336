import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'

import type { Postgres } from '../../../core/postgres/connection.ts'
import { archivePartBytes } from '../../limits.ts'
import type { DayPartition } from './days.ts'

/** What tells whether two sets of rows in COPY's text form are the same, in the same order. */
export interface RowsDigest {
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
}

/**
 * Reads all rows of a partition. The same rows come in the same order: the session has synchronize_seqscans off.
 * @param take called for each part, and waited for; between two parts the event loop turns, so a signal is heard
 * @throws PostgresFault; what `take` throws: then the connection has to be closed
 */
export async function readPartition(
  postgres: Postgres,
  { name, columns }: DayPartition,
  take: (part: Buffer, rows: number) => void | Promise<void>,
): Promise<RowsDigest> {
  const hash = createHash('sha256')
  const total = { rows: 0, bytes: 0 }
  let waiting: Buffer[] = []
  let bytes = 0
  const pass = async (): Promise<void> => {
    if (waiting.length === 0) return
    const part = Buffer.concat(waiting)
    hash.update(part)
    total.rows += waiting.length
    total.bytes += bytes
    await take(part, waiting.length)
    waiting = []
    bytes = 0
    await nextTurn()
  }
  for (const row of postgres.copyOut(`copy ${name} (${columns.join(', ')}) to stdout`)) {
    waiting.push(row)
    bytes += row.length
    if (bytes >= archivePartBytes) await pass()
  }
  await pass()
  return { ...total, sha256: hash.digest('hex') }
}

/** What an archived file holds, by the file itself: of it, and of the rows in it. @throws Error when it is no whole gzip file */
export async function readArchived(path: string): Promise<{ file: Omit<RowsDigest, 'rows'>; data: RowsDigest }> {
  const file = { hash: createHash('sha256'), bytes: 0 }
  const data = { hash: createHash('sha256'), bytes: 0, rows: 0 }
  await pipeline(
    createReadStream(path),
    async function* (parts: AsyncIterable<Buffer>) {
      for await (const part of parts) {
        file.hash.update(part)
        file.bytes += part.length
        yield part
      }
    },
    createGunzip(),
    async (parts: AsyncIterable<Buffer>) => {
      for await (const part of parts) {
        data.hash.update(part)
        data.bytes += part.length
        data.rows += lineFeeds(part)
      }
    },
  )
  return {
    file: { bytes: file.bytes, sha256: file.hash.digest('hex') },
    data: { rows: data.rows, bytes: data.bytes, sha256: data.hash.digest('hex') },
  }
}

/** Of a row there is exactly one: COPY writes those in values as \n. */
function lineFeeds(part: Buffer): number {
  let count = 0
  for (let at = part.indexOf(10); at !== -1; at = part.indexOf(10, at + 1)) count += 1
  return count
}

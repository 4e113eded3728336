import { loadConfig } from '../../core/config/load.ts'
import { connectPostgres, type Postgres } from '../../core/postgres/connection.ts'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'
import { asOwner } from '../../core/postgres/owner.ts'
import { checkoutColumns } from '../../core/postgres/record-columns.ts'
import { firstShard } from '../../core/shards.ts'
import { gatherChunk } from '../../workers/log-chunk.ts'
import { RowEncoder } from '../../workers/row-encoder.ts'
import { embeddedPostgres } from '../harness/embedded-postgres.ts'
import { startHotcakes } from '../harness/server-under-test.ts'
import { sampleEntries } from './sample-sale.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

// The persister's own text through its own connection into a copy of its table, into the partition and with the index that
// a day of sales has while it lasts; a transaction each time, which is what an fsync belongs to. libpq loads into this process here.

const schema = 'hotcakes_micro'
const table = `${schema}.checkout_attempts`
const bytesMax = 256 * 1024 * 1024
/** Divides all batch sizes. */
const rowsPerEntry = 50
/** The table is emptied when a round starts, so that no candidate writes into larger indexes than another. */
const recreate = `
  drop schema if exists ${schema} cascade;
  create schema ${schema};
  create table ${table} (like public.checkout_attempts including all) partition by range (decided_at);
  create table ${schema}.day (like public.checkout_attempts including all);
  create index on ${schema}.day using brin (decided_at, sale_id int8_minmax_multi_ops);
  alter table ${table} attach partition ${schema}.day for values from (minvalue) to (maxvalue)`

/** DB_HOST and its like if they are set, otherwise the PostgreSQL of a hotcakes that is started for it. */
async function somePostgres(): Promise<{ settings: PostgresSettings; stop: () => Promise<void> }> {
  const { db } = loadConfig({ env: process.env })
  if (!db.embedded) return { settings: asOwner(db), stop: () => Promise.resolve() }
  const hotcakes = await startHotcakes({ APP_WORKERS: '1', APP_SALE_INTERVAL_SECONDS: '86400' })
  try {
    return { settings: embeddedPostgres(hotcakes), stop: () => hotcakes.stop() }
  } catch (error) {
    await hotcakes.stop()
    throw error
  }
}

function copyText(rows: number): Buffer {
  const encoder = new RowEncoder()
  encoder.encode(
    gatherChunk(sampleEntries(rows, rowsPerEntry), {
      shard: firstShard,
      run: '',
      after: { epoch: 1, seq: 0 },
      bytesMax,
    }),
  )
  return encoder.checkouts.text
}

function toCandidate(postgres: Postgres, rows: number, checkedRows: number): Candidate {
  const text = copyText(rows)
  const statement = `copy ${schema}.day (${checkoutColumns}) from stdin`
  const copy = (chunk: Buffer): number => postgres.transaction(() => postgres.copyIn(statement, [chunk]))
  const prepare = (): void => {
    postgres.query(recreate)
  }
  const result = () => {
    prepare()
    // The same rows for all, in as many transactions as it takes.
    const all = copyText(checkedRows)
    for (let start = 0, end = 0; start < all.length; start = end) {
      end = start
      for (let row = 0; row < rows; row++) end = all.indexOf(10, end) + 1
      copy(all.subarray(start, end))
    }
    return postgres.query(`select count(*), sum(hashtext(row::text)) as content from ${table} row`)
  }
  return { name: `${rows.toLocaleString('en')} rows`, operations: rows, run: () => copy(text), prepare, result }
}

async function* cases({ smoke }: Scale): AsyncIterable<Case> {
  const sizes = smoke ? [50, 100] : [100, 1_000, 10_000, 50_000]
  const source = await somePostgres()
  let postgres: Postgres | undefined
  try {
    postgres = connectPostgres(source.settings, { applicationName: 'hotcakes bench:micro' })
    const connection = postgres
    const candidates = sizes.map((rows) => toCandidate(connection, rows, Math.max(...sizes)))
    yield { name: 'checkout_attempts, a transaction each', operation: 'row', candidates }
    postgres.query(`drop schema if exists ${schema} cascade`)
  } finally {
    postgres?.close()
    await source.stop()
  }
}

export const copyRate: Subject = {
  name: 'copy-rate',
  about: 'rows into a real PostgreSQL by the size of the transaction: 100, 1,000, 10,000, 50,000',
  cases,
}

// Goal: a row gets into the partition of its day, whatever becomes of that partition, and each exactly once.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'

// oxlint-disable-next-line no-restricted-imports -- stands in for Redis, which packs the results
import { Packr } from 'msgpackr'

import { BatchWriter } from '../core/decisions.ts'
import { outcomes } from '../core/outcomes.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import { Copier } from '../workers/copier.ts'
import { gatherChunk, type LogChunk } from '../workers/log-chunk.ts'
import type { LogEntry } from '../workers/log-reader.ts'
import { type Buyers, startBuyers } from './helpers/buyers.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister } from './helpers/persister.ts'
import { isStopped } from './helpers/processes.ts'
import { assertRecorded, newRecord, recordedAttempts } from './helpers/record.ts'
import { startPostgres, startRedis } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })

interface Draining {
  readonly postgres: Postgres
  readonly buyers: Buyers
  /** Of the checkouts of the day on which all this happens. */
  readonly partition: string
  readonly reported: (state: string) => Promise<boolean>
  readonly persisterPid: number
  readonly drain: () => Promise<void>
}

/** A persister that has copied something, and so knows the day. */
async function startDraining(t: TestContext): Promise<Draining> {
  const redis = await startRedis(t)
  const postgres = newRecord(t, db)
  const buyers = await startBuyers(t, redis.connection)
  const persister = await startPersister(t, { db, redis: redis.connection })
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === 5)
  const [row] = postgres.query<{ name: string }>(
    'select tableoid::regclass::text as name from checkout_attempts limit 1',
  )
  return {
    postgres,
    buyers,
    partition: row?.name ?? '',
    reported: async (state) => (await buyers.store.logState()).persister?.state === state,
    persisterPid: persister.pid,
    drain: async () => assert.deepEqual(await persister.drain(), { code: 0, signal: null }),
  }
}

test('rows of a day are copied into its partition directly, past whoever lets nobody write to the table', async (t) => {
  const { postgres, buyers, drain } = await startDraining(t)
  postgres.query('begin')
  postgres.query('lock table only checkout_attempts, only purchase_attempts in share mode')
  await buyers.checkOut(5)
  await buyers.purchase(5)
  await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  postgres.query('commit')
  await drain()
  assertRecorded(postgres, buyers.decided)
})

test('where it may not write to a partition, rows get there through the table', async (t) => {
  const { postgres, buyers, partition, drain } = await startDraining(t)
  postgres.query(`revoke insert on ${partition} from hotcakes`)
  await buyers.checkOut(5)
  await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  await drain()
  assertRecorded(postgres, buyers.decided)
})

test('a partition that was taken out of its table takes no row, and all are there once it is back', async (t) => {
  const { postgres, buyers, partition, reported, drain } = await startDraining(t)

  const [{ bound }] = postgres.query<{ bound: string }>(
    `select pg_get_expr(relpartbound, oid) as bound from pg_class where oid = '${partition}'::regclass`,
  ) as [{ bound: string }]
  assert.match(bound, /^FOR VALUES FROM/)
  postgres.query(`alter table checkout_attempts detach partition ${partition}`)
  await buyers.checkOut(5)
  await eventually(() => reported('refused'))
  assert.deepEqual(postgres.query(`select count(*)::int as rows from ${partition}`), [{ rows: 5 }])
  postgres.query(`alter table checkout_attempts attach partition ${partition} ${bound}`)
  await eventually(() => recordedAttempts(postgres).length === buyers.decided.length)
  await drain()
  assertRecorded(postgres, buyers.decided)
})

test('a partition that goes while it is waited for is made anew, also while the log is drained to its end', async (t) => {
  const { postgres, buyers, partition, reported, drain } = await startDraining(t)
  const before = buyers.decided.length
  postgres.query('begin')
  postgres.query(`drop table ${partition}`)
  await buyers.checkOut(5)
  await eventually(() => reported('locked'), { what: 'a wait for whoever drops it' })
  const draining = drain()
  postgres.query('commit')
  await draining
  assertRecorded(postgres, buyers.decided.slice(before))
})

test('a partition that is gone is made anew, also while the log is drained to its end', async (t) => {
  const { postgres, buyers, partition, persisterPid, drain } = await startDraining(t)
  const before = buyers.decided.length
  // It finds out about all three at once, however long they take.
  process.kill(persisterPid, 'SIGSTOP')
  await eventually(() => isStopped(persisterPid), { what: 'a persister that stands still' })
  postgres.query(`drop table ${partition}`)
  await buyers.checkOut(5)
  const draining = drain()
  process.kill(persisterPid, 'SIGCONT')
  await draining
  assertRecorded(postgres, buyers.decided.slice(before))
})

const packr = new Packr({ useRecords: false })
const nonce = 'AAAAAAAAAAAAAAAA'

/** A batch of one purchase and one checkout, decided at that moment. */
function entry(seq: number, nowMs: number): LogEntry {
  const writer = new BatchWriter(3_600_000)
  writer.add(7, String(seq), nonce, '')
  writer.add(7, String(seq), nonce, 'ann')
  const results = [nowMs, outcomes.purchased.code, 'ann', outcomes.item_sold.code]
  return { position: { epoch: 1, seq }, kind: 'batch', message: writer.encode().entry, results: packr.pack(results) }
}

function chunkOf(afterSeq: number, times: readonly number[]): LogChunk {
  const entries = times.map((nowMs, at) => entry(afterSeq + at + 1, nowMs))
  const position = { epoch: afterSeq === 0 ? 0 : 1, seq: afterSeq }
  return gatherChunk(entries, { shard: 0, run: 'run', after: position, bytesMax: Number.POSITIVE_INFINITY })
}

test('a chunk with midnight in it has its rows in the partitions of both days, and those around it in one', (t) => {
  const postgres = newRecord(t, db)
  const copier = new Copier(db, () => undefined)
  t.after(() => copier.close())
  const midnight = Date.UTC(2026, 1, 1)
  for (const chunk of [
    chunkOf(0, [midnight - 2]),
    chunkOf(1, [midnight - 1, midnight, midnight + 1]),
    chunkOf(4, [midnight + 2]),
    // A clock that was set back.
    chunkOf(5, [midnight - 3]),
  ])
    assert.equal(copier.copy(chunk).through.seq, chunk.through.seq)
  const places = (table: string) =>
    postgres.query(`select tableoid::regclass::text as name, array_agg(batch::int order by batch)::text as batches
      from ${table} group by 1 order by 1`)
  for (const table of ['checkout_attempts', 'purchase_attempts'])
    assert.deepEqual(places(table), [
      { name: `${table}_20260131`, batches: '{1,2,6}' },
      { name: `${table}_20260201`, batches: '{3,4,5}' },
    ])
  assert.deepEqual(postgres.query('select count(*)::int as count from purchases'), [{ count: 6 }])
})

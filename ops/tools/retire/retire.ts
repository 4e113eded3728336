import { stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

import { Fault } from '../../../core/faults.ts'
import { retireLock } from '../../../core/postgres/advisory-locks.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { dailyTables } from '../../../core/postgres/daily-tables.ts'
import { PostgresFault } from '../../../core/postgres/postgres-fault.ts'
import type { RedisSettings } from '../../../core/redis/connection.ts'
import { textTable } from '../../../core/text-table.mjs'
import { auditSortMemory, retireTurnMsMax, retireTurnPollMs } from '../../limits.ts'
import { type ArchiveOptions, archiveDay, assertArchived } from './archive.ts'
import { daysBefore, type RecordedDay } from './days.ts'
import { stemOf } from './manifest.ts'
import { assertNotNeeded } from './needed.ts'
import { ArchiveProblem } from './refusals.ts'
import type { StepHook } from './steps.ts'
import { takeOut } from './take-out.ts'

export interface Asked {
  /** Days that end at that moment or before, ms since the epoch. */
  readonly beforeMs: number
  /** The folder; undefined: none is written. */
  readonly archive: string | undefined
  readonly isDry: boolean
}

export interface RetireOptions {
  /** As the owner of the tables. */
  readonly postgres: Postgres
  readonly redis: RedisSettings
  /** For progress. */
  readonly say: (text: string) => void
  /** For results. */
  readonly tell: (text: string) => void
  /** Throws when it should end. */
  readonly assertWanted: () => void
  readonly reached: StepHook
}

/** @throws DayNeeded; DayUnsound; ArchiveProblem; Interrupted; Fault */
export async function retire(asked: Asked, options: RetireOptions): Promise<void> {
  const { postgres, redis, say, tell } = options
  const { archive } = asked
  prepareSession(postgres)
  assertOwner(postgres)
  if (archive !== undefined) await assertFolder(archive)
  await takeTurn(postgres, say)
  await assertNotNeeded(asked.beforeMs, { postgres, redis })
  const days = daysBefore(postgres, asked.beforeMs)
  if (asked.isDry || days.length === 0) {
    tell(days.length === 0 ? 'there is no such day on record' : dayTable(days))
    return
  }
  for (const day of days) tell(await retireDay(day, archive, options))
}

async function retireDay(day: RecordedDay, archive: string | undefined, options: RetireOptions): Promise<string> {
  const { postgres, say, assertWanted, reached } = options
  assertWanted()
  const stem = stemOf(day)
  const rows = sum(day.partitions.map((each) => each.rows))
  const freed = `${sum(day.partitions.map((each) => each.bytes))} bytes of Postgres are free`
  if (archive === undefined) {
    await takeOut(day, { ...options, verify: () => Promise.resolve(), manifestSha256: undefined })
    return `${stem}: ${rows} rows dropped, ${freed}`
  }
  const at: ArchiveOptions = { folder: archive, record: recordOf(postgres), postgres, say, assertWanted }
  const archived = await archiveDay(day, at, () => reached('before_manifest'))
  reached('archived')
  await takeOut(day, { ...options, verify: () => assertArchived(day, archived, at), manifestSha256: archived.sha256 })
  const written = sum(archived.manifest.tables.map(({ bytes }) => bytes))
  return `${stem}: ${rows} rows archived in ${written} bytes and dropped, ${freed}`
}

/** Beside a sale: on one core, with rows in the order in which they lie, and no statement that goes on when this is killed. */
function prepareSession(postgres: Postgres): void {
  postgres.query(`
    set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set synchronize_seqscans = off;
    set max_parallel_workers_per_gather = 0; set work_mem = '${auditSortMemory}';
    set client_encoding = 'UTF8'`)
  try {
    postgres.query(`set client_connection_check_interval = '1s'`)
  } catch (error) {
    // On some systems Postgres can't: then a statement whose client was killed ends by itself, and the next run waits for it.
    if (!(error instanceof PostgresFault) || error.code !== 'HC_POSTGRES_REFUSED') throw error
  }
}

/** @throws Fault HC_SCHEMA with what is needed */
function assertOwner(postgres: Postgres): void {
  const [row] = postgres.query<{ me: string; owner: string; may: boolean; has: boolean }>(
    `select current_user::text as me, pg_get_userbyid(relowner)::text as owner, pg_has_role(relowner, 'usage') as may,
            to_regclass('retired_days') is not null as has
     from pg_class where oid = to_regclass($1)`,
    [dailyTables[0]],
  )
  if (row === undefined || !row.has) {
    throw new Fault(
      'HC_SCHEMA',
      'the database has not the tables of this version: start the server once, with DB_OWNER_USER',
    )
  }
  if (row.may) return
  throw new Fault(
    'HC_SCHEMA',
    `user ${row.me} may not drop a partition: set DB_OWNER_USER=${row.owner} and DB_OWNER_PASSWORD, the owner of the tables`,
  )
}

/** It is not made: a disk that is not mounted must not be mistaken for an empty folder. @throws ArchiveProblem */
async function assertFolder(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new ArchiveProblem(`there is no folder ${path}`) : error
  })
  if (!found.isDirectory()) throw new ArchiveProblem(`${path} is no folder`)
}

/** One run at a time. Of one that was killed Postgres may still have the session. @throws Fault HC_SCHEMA_BUSY */
async function takeTurn(postgres: Postgres, say: (text: string) => void): Promise<void> {
  const deadline = performance.now() + retireTurnMsMax
  for (let tries = 1; ; tries += 1) {
    const [row] = postgres.query<{ taken: boolean }>('select pg_try_advisory_lock($1, $2) as taken', [...retireLock])
    if (row?.taken === true) return
    if (performance.now() > deadline)
      throw new Fault('HC_SCHEMA_BUSY', 'another npm run retire is at work on this database')
    if (tries === 1) say('waits, because another run is at work, or was a moment ago')
    await delay(retireTurnPollMs)
  }
}

function recordOf(postgres: Postgres): string {
  const [row] = postgres.query<{ record: string }>(
    'select record::text as record from log_offsets order by shard limit 1',
  )
  return row?.record ?? ''
}

function dayTable(days: readonly RecordedDay[]): string {
  const cells = days.map((day) => [
    stemOf(day),
    String(sum(day.partitions.map(({ rows }) => rows))),
    String(sum(day.partitions.map(({ bytes }) => bytes))),
  ])
  const total = ['all', ...[1, 2].map((at) => String(sum(cells.map((row) => Number(row[at])))))]
  return textTable(['day', 'rows', 'bytes'], [...cells, total]).join('\n')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

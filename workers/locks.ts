import { Fault } from '../core/faults.ts'
import { copyLockMsMax, lockHoldersMax } from '../core/limits.ts'
import { partitionsLock } from '../core/postgres/advisory-locks.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import { lockNotAvailable, PostgresFault } from '../core/postgres/postgres-fault.ts'

export function isLockTimeout(error: unknown): boolean {
  return error instanceof PostgresFault && error.sqlState === lockNotAvailable
}

/**
 * First in a transaction, after one that met a lock: rows that are copied before the lock is met stay in their tables as
 * dead rows, with each further attempt more. ONLY: the partitions are too many to lock them all.
 * @param partitions those that are written to
 */
export function lockTables(postgres: Postgres, partitions: readonly string[]): void {
  const tables = [
    'only checkout_attempts',
    'only purchase_attempts',
    'only release_attempts',
    'only right_transfers',
    'sales',
    'purchases',
  ]
  postgres.query(`lock table ${[...tables, ...partitions].join(', ')} in row exclusive mode`)
}

/**
 * Names the sessions that kept a transaction waiting, after its rollback: those that have more than a reader's lock on one
 * of its tables. That may name one too many, but costs nothing while all is well.
 */
export function lockFault(postgres: Postgres): Fault {
  const who = describeHolders(postgres)
  return new Fault('HC_POSTGRES_LOCKED', `no lock within ${copyLockMsMax} ms: ${who}`)
}

function describeHolders(postgres: Postgres): string {
  try {
    const holders = postgres.query<{ pid: number; name: string }>(holdersQuery, [lockHoldersMax])
    if (holders.length === 0) return 'whoever held it has let it go'
    return `it is held by ${holders.map(({ pid, name }) => `process ${pid} (${name})`).join(', ')}`
  } catch (error) {
    if (!(error instanceof PostgresFault)) throw error
    return 'whose it is can not be found out'
  }
}

const holdersQuery = `
  with tables as (
    select to_regclass(name)::oid as id
    from unnest(array['sales', 'checkout_attempts', 'purchase_attempts', 'release_attempts', 'right_transfers', 'purchases',
                      'log_offsets']) name
  )
  select distinct pid, coalesce(nullif(application_name, ''), 'without a name') as name
  from pg_locks join pg_stat_activity using (pid)
  where granted and pid <> pg_backend_pid() and mode <> 'AccessShareLock'
    and database = (select oid from pg_database where datname = current_database())
    and (locktype = 'advisory' and (classid, objid) = (${partitionsLock.join()})
      or relation in (select id from tables)
      or relation in (select inhrelid from pg_inherits where inhparent in (select id from tables)))
  order by pid limit $1`

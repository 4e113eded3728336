import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'

import { partitionsLock } from '../../../core/postgres/advisory-locks.ts'
import type { Postgres } from '../../../core/postgres/connection.ts'
import { dailyTables } from '../../../core/postgres/daily-tables.ts'
import { lockNotAvailable, PostgresFault } from '../../../core/postgres/postgres-fault.ts'
import { retireLockMsMax, retireLockRestMs, retireLockTries } from '../../limits.ts'
import type { RecordedDay } from './days.ts'
import { keepDay } from './kept.ts'
import { stemOf } from './manifest.ts'
import type { StepHook } from './steps.ts'

export interface TakeOutOptions {
  readonly postgres: Postgres
  readonly say: (text: string) => void
  readonly assertWanted: () => void
  readonly reached: StepHook
  /** Throws unless every row is where it should be: nobody changes one meanwhile. */
  readonly verify: () => Promise<void>
  readonly manifestSha256: string | undefined
}

/**
 * Takes a day out of the record, in one transaction: what is kept of it comes, and its partitions go. Two locks: while the day
 * is read nobody may write to its partitions, which are over; and at the end nobody may use the tables, for some milliseconds.
 * DETACH CONCURRENTLY would need less of the second, but takes two transactions: in between a sale would have both its rows and
 * its counts, or neither.
 * @throws DayUnsound; Interrupted; PostgresFault; what `verify` throws: then all is as it was, once the connection is closed
 */
export async function takeOut(day: RecordedDay, options: TakeOutOptions): Promise<void> {
  const { postgres, reached, verify, manifestSha256, assertWanted } = options
  const names = day.partitions.map(({ name }) => name).join(', ')
  postgres.query('begin')
  const only = `only ${names.replaceAll(', ', ', only ')}`
  await whenFree(options, `somebody writes to ${stemOf(day)}`, [`lock table ${only} in share row exclusive mode`])
  reached('locked')
  await verify()
  reached('verified')
  await nextTurn()
  assertWanted()
  keepDay(postgres, day, manifestSha256)
  reached('counted')
  await whenFree(options, 'somebody uses the tables', [
    // Another server that begins a day changes the same rows of the catalogue.
    `select pg_advisory_xact_lock(${partitionsLock.join(', ')})`,
    `lock table ${dailyTables.map((table) => `only ${table}`).join(', ')} in access exclusive mode`,
    `drop table ${names}`,
  ])
  reached('dropped')
  postgres.query('commit')
  reached('committed')
}

/** Runs the statements with little patience for each lock, again and again: whoever waits for a lock makes others wait behind it. */
async function whenFree(options: TakeOutOptions, what: string, statements: readonly string[]): Promise<void> {
  const { postgres, assertWanted, say } = options
  postgres.query(`set local lock_timeout = ${retireLockMsMax}; savepoint free`)
  for (let tries = 1; ; tries += 1) {
    await nextTurn() // in which a signal is heard
    assertWanted()
    try {
      for (const statement of statements) postgres.query(statement)
      return
    } catch (error) {
      const isHeld = error instanceof PostgresFault && error.sqlState === lockNotAvailable
      if (!isHeld || tries >= retireLockTries) throw error
      postgres.query('rollback to savepoint free')
      if (tries === 1) say(`waits, because ${what}`)
      await delay(retireLockRestMs)
    }
  }
}

import { randomInt } from 'node:crypto'
import { Fault } from '../../core/faults.ts'
import { proofLockMsMax } from '../../core/limits.ts'
import type { AsyncConnection, Statement } from '../../core/postgres/async-connection.ts'
import type { Parameter } from '../../core/postgres/parameter.ts'
import { diskFull, isPassingState, lockNotAvailable, PostgresFault } from '../../core/postgres/postgres-fault.ts'
import {
  checkoutColumns,
  codeAttemptColumns,
  purchaseColumns,
  saleColumns,
  transferColumns,
  transferKinds,
} from '../../core/postgres/record-columns.ts'

/** One thing that a persister or a recovery does. */
export interface ProofStep {
  /** For "Postgres refuses ...". */
  readonly what: string
  readonly statement: Statement
  readonly parameters: readonly Parameter[]
}

/**
 * Writes a row into each table that persisters and recoveries write to, as they do. To be rolled back. The sale and the
 * epoch are such as can't exist, others each time: two proofs at once don't wait for each other.
 */
export function proofSteps(nowMs: number): ProofStep[] {
  const time = new Date(nowMs).toISOString()
  const sale = -randomInt(1, 2 ** 40)
  const nonce = `proof ${sale}`
  return [
    step('the partitions of today', 'select ensure_attempts_partitions($1::date)', [time.slice(0, 10)]),
    step(
      'a row of sales',
      `insert into sales (${saleColumns}) values ($1, $2, $2, 1, 1, 1, 1)
       on conflict (sale_id) do update set items = excluded.items`,
      [sale, time],
    ),
    step(
      'a row of checkout_attempts',
      `insert into checkout_attempts (${checkoutColumns})
       values ($1, 0, 0, 0, $2, 1, '', 0, null, null)`,
      [time, sale],
    ),
    step(
      'a row of purchase_attempts',
      `insert into purchase_attempts (${codeAttemptColumns})
       values ($1, 0, 0, 0, $2, 1, $3, 0, null)`,
      [time, sale, nonce],
    ),
    step(
      'a row of release_attempts',
      `insert into release_attempts (${codeAttemptColumns})
       values ($1, 0, 0, 0, $2, 1, $3, 0, null)`,
      [time, sale, nonce],
    ),
    step(
      'a row of purchases',
      `insert into purchases (${purchaseColumns})
       values ($1, 0, 0, 0, $2, 1, $3, '')`,
      [time, sale, nonce],
    ),
    step(
      'a row of right_transfers',
      `insert into right_transfers (${transferColumns})
       values ($1, 0, 0, 0, 0, $2, '', 0, ${transferKinds.lent}, 1)`,
      [time, sale],
    ),
    step('a row of log_epochs', `insert into log_epochs (shard, epoch, run) values (0, $1, 'proof')`, [sale]),
    // Skipped while a persister or a rebuild has one: the right to change them is checked all the same.
    step(
      'the rows of log_offsets',
      `update log_offsets set seq = seq, run = run
       where shard in (select shard from log_offsets for update skip locked)`,
    ),
  ]
}

function step(what: string, text: string, parameters: readonly Parameter[] = []): ProofStep {
  return { what, statement: { text }, parameters }
}

/** What Postgres said to a step, with what to do about it. */
export function stepRefused({ what }: ProofStep, fault: PostgresFault, user: string): PostgresFault {
  const advice = adviceFor(fault.sqlState)
  return new PostgresFault(`Postgres refuses ${what} to user ${user}: ${fault.message}${advice}`, fault.sqlState)
}

/** A full disk too: a server that is started again while somebody makes room has to come up by itself. */
function mayPass({ sqlState }: PostgresFault): boolean {
  return sqlState === diskFull || isPassingState(sqlState)
}

function adviceFor(sqlState: string | undefined): string {
  if (sqlState === '42501') return '. Grant what core/postgres/schema/access/grants.sql names: docs/ACCESS.md says how'
  if (sqlState === '42P01' || sqlState === '42883' || sqlState === '23514') {
    return '. The tables are not those that the server set up, or were moved to another schema'
  }
  return ''
}

/**
 * Proves that the record can be written: by writing and rolling back. A lock that somebody else holds proves nothing against
 * it: the log waits in Redis for as long. Then it answers false.
 * @throws PostgresFault; HC_POSTGRES_UNAVAILABLE also for what may pass: a lack of room or memory, a deadlock
 */
export async function proveWritable(connection: AsyncConnection, user: string): Promise<boolean> {
  await connection.query({ text: 'begin' })
  await connection.query({ text: `set local lock_timeout = ${proofLockMsMax}` })
  for (const proof of proofSteps(Date.now())) {
    try {
      await connection.query(proof.statement, proof.parameters)
    } catch (error) {
      if (!(error instanceof PostgresFault) || error.code !== 'HC_POSTGRES_REFUSED') throw error
      await connection.query({ text: 'rollback' })
      if (error.sqlState === lockNotAvailable) return false
      const refusal = stepRefused(proof, error, user)
      throw mayPass(error) ? new Fault('HC_POSTGRES_UNAVAILABLE', refusal.message) : refusal
    }
  }
  await connection.query({ text: 'rollback' })
  return true
}

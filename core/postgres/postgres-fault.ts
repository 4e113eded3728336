import { Fault } from '../faults.ts'

/** A Fault that keeps what the server said: `sqlState` is undefined when it was libpq that failed. */
export class PostgresFault extends Fault {
  readonly sqlState: string | undefined
  /** The message as anybody may read it: without a value, an address or a name of an account. '' when nothing is left. */
  readonly publicReason: string

  constructor(message: string, sqlState?: string, publicReason = '') {
    super(isUnavailable(sqlState) ? 'HC_POSTGRES_UNAVAILABLE' : 'HC_POSTGRES_REFUSED', message)
    this.sqlState = sqlState
    this.publicReason = publicReason
  }

  /** The same of one thing, which stands before its words. */
  of(what: string): PostgresFault {
    return new PostgresFault(`${what}: ${this.message}`, this.sqlState, `${what}: ${this.publicReason}`)
  }
}

/**
 * Whether it is the connection that failed and not the statement. Class 08: connection exceptions; 57P01 to 57P05: the
 * server shuts down, crashed, starts, or closed an idle session; 53300: no connection is free. None: libpq itself.
 */
function isUnavailable(sqlState: string | undefined): boolean {
  return sqlState === undefined || sqlState.startsWith('08') || sqlState.startsWith('57P') || sqlState === '53300'
}

/** SQLSTATE lock_not_available: lock_timeout has passed. */
export const lockNotAvailable = '55P03'
/** SQLSTATE query_canceled: by statement_timeout, or by somebody. */
export const queryCanceled = '57014'
/** SQLSTATE disk_full: somebody has to make room. */
export const diskFull = '53100'
/** 40: rolled back (serialization, deadlock); 55P03; 57014: cancelled, as by the statement's time-out; 53: resources. */
const passing = /^(?:40|55P03|57014|53(?!100))/

/** Whether the same statement may pass when it is repeated, with nothing done by anybody. */
export function isPassingState(sqlState: string | undefined): boolean {
  return passing.test(sqlState ?? '')
}
/** SQLSTATE read_only_sql_transaction: the server's words don't say why. */
const readOnly = '25006'
const readOnlyHint = 'it is a standby, or default_transaction_read_only is on: DB_HOST has to name the primary'

/** The fields of libpq's error that are kept. */
export type ErrorFields = Readonly<Partial<Record<string, string>>>

/**
 * The server's error as one sentence. Its context is left out: for COPY it quotes the line with what buyers sent and
 * with their codes. The detail is kept where it names the duplicate key; of other constraints it quotes the whole row.
 */
export function refusal(fields: ErrorFields): PostgresFault {
  const { sqlState, messagePrimary = 'no message', messageDetail, messageHint } = fields
  const detail = messageDetail !== undefined && sqlState === '23505' ? `: ${messageDetail}` : ''
  const advice = sqlState === readOnly ? readOnlyHint : messageHint
  const hint = advice === undefined ? '' : ` (hint: ${advice})`
  const message = `${messagePrimary}${detail}${hint} [${sqlState ?? 'no sqlstate'}]`
  return new PostgresFault(message, sqlState, publicWords(fields))
}

/**
 * Classes of sqlstates whose primary message names tables, files and settings but never a value: not supported, state of
 * the transaction, schema, rollback, rights and names, resources, limits, locks, operators, the system. What a trigger
 * or a type says may quote anything.
 */
const valueless = /^(?:0A|25|3F|40|42|53|54|55|57|58)/

function publicWords({ sqlState = '', messagePrimary = '', tableName, constraintName }: ErrorFields): string {
  if (valueless.test(sqlState)) return `${messagePrimary} [${sqlState}]`
  const table = tableName === undefined ? '' : ` for the table ${tableName}`
  const constraint = constraintName === undefined ? '' : ` by the constraint ${constraintName}`
  return `a row is refused${table}${constraint} [${sqlState}]`
}

/** libpq's own words in one line, without the password wherever they may quote it. */
export function scrubbed(message: string, password: string): string {
  const line = message.trim().replace(/\s*\n\s*/g, '; ')
  return password === '' ? line : line.replaceAll(password, '***')
}

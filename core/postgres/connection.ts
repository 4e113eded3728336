import assert from 'node:assert/strict'
import Client from 'pg-native'
import { endClient } from './client-end.ts'
import { conninfo, type PostgresOptions, type PostgresSettings } from './conninfo.ts'
import { type Parameter, parameterText } from './parameter.ts'
import { type ErrorFields, PostgresFault, refusal, scrubbed } from './postgres-fault.ts'
import { assertOneSchema, type SessionRow, sessionParameters, sessionStatement } from './session.ts'

/** libpq's PQTRANS_UNKNOWN: there is no connection any more. */
const transactionStatusGone = 4

/**
 * Opens a connection, blocking for up to postgresConnectTimeoutSeconds per address.
 * libpq's addon is not context-aware: of all threads of a process only one may ever load this module.
 * @throws PostgresFault HC_POSTGRES_UNAVAILABLE, whatever the reason: libpq gives none but its message; Fault HC_SCHEMA
 */
export function connectPostgres(settings: PostgresSettings, options: PostgresOptions): Postgres {
  const client = new Client()
  try {
    client.connectSync(conninfo(settings, options))
  } catch (error) {
    throw new PostgresFault(scrubbed((error as Error).message, settings.password))
  }
  const postgres = new Postgres(client, settings.password)
  try {
    const [session] = postgres.query<SessionRow>(sessionStatement, sessionParameters(options))
    assertOneSchema(session, settings.user)
  } catch (error) {
    postgres.close()
    throw error
  }
  return postgres
}

/** A connection. Every call blocks the thread until the server answered or the connection failed. */
export class Postgres {
  readonly #client: Client
  readonly #password: string

  constructor(client: Client, password: string) {
    this.#client = client
    this.#password = password
  }

  /** False once the server or the network ended the connection: it will not come back. */
  get isConnected(): boolean {
    return this.#client.pq.transactionStatus() !== transactionStatusGone
  }

  /**
   * Rows as objects by column. int2, int4, float8 and bool come as themselves, timestamptz as Date, all other types
   * (int8 and numeric among them) as text. Without parameters `text` may hold several statements: the last one's rows.
   * @throws PostgresFault HC_POSTGRES_UNAVAILABLE | HC_POSTGRES_REFUSED
   */
  query<Row extends object>(text: string, parameters?: readonly Parameter[]): Row[] {
    const values = parameters?.map(parameterText)
    try {
      return (values === undefined ? this.#client.querySync(text) : this.#client.querySync(text, values)) as Row[]
    } catch (error) {
      throw this.#failure((error as Error).message)
    }
  }

  /**
   * COPY ... FROM STDIN with the chunks as its data, however they are cut. Answers the number of rows copied.
   * @throws PostgresFault
   */
  copyIn(statement: string, chunks: readonly Buffer[]): number {
    const { pq } = this.#client
    pq.exec(statement)
    if (pq.resultStatus() !== 'PGRES_COPY_IN') {
      throw this.#failure(`not a COPY FROM STDIN: ${pq.resultStatus()}`)
    }
    for (const chunk of chunks) {
      if (pq.putCopyData(chunk) !== 1) throw this.#failure('COPY data was not sent')
    }
    if (pq.putCopyEnd() !== 1) throw this.#failure('the end of COPY was not sent')
    return this.#copiedRows()
  }

  /**
   * COPY ... TO STDOUT in its text form: a row each, with its line feed. Whoever stops before the end has to close the
   * connection.
   * @throws PostgresFault
   */
  *copyOut(statement: string): Generator<Buffer, void> {
    const { pq } = this.#client
    pq.exec(statement)
    if (pq.resultStatus() !== 'PGRES_COPY_OUT') throw this.#failure(`not a COPY TO STDOUT: ${pq.resultStatus()}`)
    for (let row = pq.getCopyData(); row !== -1; row = pq.getCopyData()) {
      if (typeof row === 'number') throw this.#failure('COPY data did not come')
      yield row
    }
    this.#copiedRows()
  }

  /** The result of a COPY whose data was sent, or taken. Every result has to be taken, or the next statement fails. */
  #copiedRows(): number {
    const { pq } = this.#client
    let rows = 0
    let failure: PostgresFault | undefined
    while (pq.getResult()) {
      const status = pq.resultStatus()
      if (status === 'PGRES_COMMAND_OK') rows += Number(pq.cmdTuples())
      else failure ??= this.#failure(`COPY ended as ${status}`)
      // A connection that broke now would repeat this result for ever.
      if (status === 'PGRES_COPY_IN') break
    }
    if (failure !== undefined) throw failure
    return rows
  }

  /**
   * Runs `work` between BEGIN and COMMIT; rolls back and rethrows when it throws. When COMMIT itself throws
   * HC_POSTGRES_UNAVAILABLE, the outcome is unknown.
   */
  transaction<Result>(work: () => Result): Result {
    this.query('begin')
    let result: Result
    try {
      result = work()
    } catch (error) {
      this.#rollBack()
      throw error
    }
    this.query('commit')
    // COMMIT of a transaction in which a statement failed succeeds, as a rollback.
    assert.equal(this.#client.pq.cmdStatus(), 'COMMIT')
    return result
  }

  #rollBack(): void {
    try {
      this.query('rollback')
    } catch (error) {
      // The connection is gone, and the transaction with it: what made us roll back says more.
      assert.ok(error instanceof PostgresFault)
    }
  }

  close(): void {
    endClient(this.#client)
  }

  #failure(message: string): PostgresFault {
    const { pq } = this.#client
    const fields: ErrorFields | null = pq.resultErrorFields()
    if (fields?.['sqlState'] !== undefined) return refusal(fields)
    const reason = pq.errorMessage()
    return new PostgresFault(scrubbed(reason === '' ? message : reason, this.#password))
  }
}

import assert from 'node:assert/strict'
import Client from 'pg-native'
import { postgresConnectTimeoutSeconds } from '../limits.ts'
import { startTimeLimit } from '../time-limit.ts'
import { endClient } from './client-end.ts'
import { conninfo, type PostgresOptions, type PostgresSettings } from './conninfo.ts'
import { type Parameter, parameterText } from './parameter.ts'
import { PostgresFault, refusal, scrubbed } from './postgres-fault.ts'
import { assertOneSchema, type SessionRow, sessionParameters, sessionStatement } from './session.ts'

type Answer = Parameters<Client['execute']>[2]

/** One statement. With a name it is prepared once on each connection: one name stands for one text. */
export interface Statement {
  readonly name?: string
  readonly text: string
}

export interface AsyncConnectionOptions extends PostgresOptions {
  /** Called once, when the connection was lost or given up. */
  readonly onEnd: (connection: AsyncConnection) => void
}

const msPerSecond = 1_000

/**
 * Opens a connection without blocking: the wait, up to postgresConnectTimeoutSeconds per address, is a thread's of libuv's pool.
 * @throws PostgresFault HC_POSTGRES_UNAVAILABLE; Fault HC_SCHEMA
 */
export async function connectAsync(
  settings: PostgresSettings,
  options: AsyncConnectionOptions,
): Promise<AsyncConnection> {
  const connection = await connectBare(settings, options)
  const late = new PostgresFault(`no answer within ${postgresConnectTimeoutSeconds} s of connecting`)
  const endLimit = startTimeLimit(postgresConnectTimeoutSeconds * msPerSecond, () => connection.giveUp(late))
  try {
    const [session] = await connection.query<SessionRow>({ text: sessionStatement }, sessionParameters(options))
    assertOneSchema(session, settings.user)
    return connection
  } catch (error) {
    connection.giveUp(late)
    throw error
  } finally {
    endLimit()
  }
}

/** Without what session.ts sets, for whom it doesn't matter. @throws PostgresFault HC_POSTGRES_UNAVAILABLE */
export async function connectBare(
  settings: PostgresSettings,
  options: AsyncConnectionOptions,
): Promise<AsyncConnection> {
  const client = new Client()
  const error = await new Promise<Error | undefined>((answer) => {
    client.connect(conninfo(settings, options), answer)
  })
  if (error === undefined) return new AsyncConnection(client, settings.password, options.onEnd)
  endClient(client)
  throw new PostgresFault(scrubbed(error.message, settings.password))
}

/**
 * A connection for one user at a time, who waits for each statement before the next. A statement needs a deadline from
 * outside, as its end may never be told: of a reset (sent after the server closed) the addon says nothing.
 */
export class AsyncConnection {
  readonly #client: Client
  readonly #password: string
  readonly #onEnd: (connection: AsyncConnection) => void
  readonly #prepared = new Set<string>()
  #isOpen = true
  #reject: ((fault: PostgresFault) => void) | undefined

  constructor(client: Client, password: string, onEnd: (connection: AsyncConnection) => void) {
    this.#client = client
    this.#password = password
    this.#onEnd = onEnd
    // The server speaks unasked when it ends the session. Read by libpq, that would go to stderr, past the log.
    client.pq.on('readable', () => {
      if (this.#reject === undefined) this.giveUp(new PostgresFault('the server ended the connection'))
    })
    client.pq.startReader()
    client.on('error', (error) => this.giveUp(new PostgresFault(scrubbed(error.message, password))))
  }

  /** Whether the next user may have it: open, and neither a statement nor a transaction is under way. */
  get isIdle(): boolean {
    return this.#isOpen && this.#client.pq.transactionStatus() === 0
  }

  /** As Postgres.query: the same rows, the same faults. */
  async query<Row extends object>(statement: Statement, parameters: readonly Parameter[] = []): Promise<Row[]> {
    const values = parameters.map(parameterText)
    const { name, text } = statement
    if (name === undefined) return this.#run((answer) => this.#client.query(text, values, answer))
    if (!this.#prepared.has(name)) {
      await this.#run((answer) => this.#client.prepare(name, text, values.length, answer))
      this.#prepared.add(name)
    }
    return this.#run((answer) => this.#client.execute(name, values, answer))
  }

  /** Several statements without parameters. */
  async script(text: string): Promise<void> {
    await this.#run((answer) => this.#client.query(text, answer))
  }

  /** As Postgres.transaction. */
  async transaction<Result>(work: (connection: AsyncConnection) => Promise<Result>): Promise<Result> {
    await this.query({ text: 'begin' })
    let result: Result
    try {
      result = await work(this)
    } catch (error) {
      if (this.#isOpen) await this.#rollBack()
      throw error
    }
    await this.query({ text: 'commit' })
    // COMMIT of a transaction in which a statement failed succeeds, as a rollback.
    assert.equal(this.#client.pq.cmdStatus(), 'COMMIT')
    return result
  }

  async #rollBack(): Promise<void> {
    try {
      await this.query({ text: 'rollback' })
    } catch (error) {
      // The connection is gone, and the transaction with it: what made us roll back says more.
      assert.ok(error instanceof PostgresFault)
    }
  }

  /**
   * Closes the connection at once; a statement under way fails with `fault`. To ask the server to cancel it would block
   * this thread until the server answers.
   */
  giveUp(fault: PostgresFault): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    // libpq has closed the socket of a lost connection by now: its watcher has to go before anything else gets the number.
    endClient(this.#client)
    this.#reject?.(fault)
    this.#reject = undefined
    this.#onEnd(this)
  }

  #run<Row extends object>(start: (answer: Answer) => void): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (!this.#isOpen) throw new PostgresFault('the connection is closed')
      assert.equal(this.#reject, undefined, 'a statement is under way')
      this.#reject = reject
      // What an older result said must not pass for this one's reason.
      this.#client.pq.clear()
      start((error, rows) => {
        this.#reject = undefined
        if (error === undefined) resolve(rows as Row[])
        else reject(this.#failure(error.message))
      })
    })
  }

  #failure(message: string): PostgresFault {
    const fields = this.#client.pq.resultErrorFields()
    const fault =
      fields?.['sqlState'] === undefined ? new PostgresFault(scrubbed(message, this.#password)) : refusal(fields)
    if (fault.code === 'HC_POSTGRES_UNAVAILABLE') this.giveUp(fault)
    return fault
  }
}

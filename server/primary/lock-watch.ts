import { Fault } from '../../core/faults.ts'
import { waitSayMs } from '../../core/limits.ts'
import type { AsyncConnection } from '../../core/postgres/async-connection.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'

interface Holder {
  readonly pid: number
  readonly application_name: string
  readonly user: string | null
  /** null: a local socket, or we may not know. */
  readonly address: string | null
}

const holders = `
  select pid, application_name, usename::text as "user", host(client_addr) as address
  from pg_catalog.pg_stat_activity where pid = any (pg_catalog.pg_blocking_pids($1)) order by pid`

/** Says what statements of a connection wait for, and for whom: it asks on a second connection, opened only when one takes long. */
export class LockWatch {
  readonly #database: AsyncPostgres
  readonly #pid: number
  readonly #say: (sentence: string) => void
  #holders = 'it is not known who'

  private constructor(database: AsyncPostgres, pid: number, say: (sentence: string) => void) {
    this.#database = database
    this.#pid = pid
    this.#say = say
  }

  /** @param say gets sentences for people */
  static async over(
    connection: AsyncConnection,
    settings: PostgresSettings,
    say: (sentence: string) => void,
  ): Promise<LockWatch> {
    const [row] = await connection.query<{ pid: number }>({ text: 'select pg_backend_pid() as pid' })
    const database = new AsyncPostgres(settings, { applicationName: 'hotcakes lock watch', connectionsMax: 1 })
    return new LockWatch(database, row?.pid ?? 0, say)
  }

  /** Who held the lock when it was last looked at. */
  get holders(): string {
    return this.#holders
  }

  /** @param what is being done, for "waiting to ..." */
  async during<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    let said: string | undefined
    let isOver = false
    const look = async (): Promise<void> => {
      const sentence = await this.#sentence(what)
      if (sentence === said || isOver) return
      said = sentence
      this.#say(sentence)
    }
    const timer = setInterval(() => void look(), waitSayMs)
    try {
      return await work()
    } finally {
      isOver = true
      clearInterval(timer)
    }
  }

  async close(): Promise<void> {
    await this.#database.close()
  }

  async #sentence(what: string): Promise<string> {
    try {
      const found = await this.#database.query<Holder>({ text: holders }, [this.#pid])
      if (found.length === 0) return `still at work to ${what}, as process ${this.#pid} of Postgres`
      this.#holders = found.map(described).join(' and ')
      return `waiting to ${what}: the lock is held by ${this.#holders}`
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return `waiting to ${what}; who else is at work can't be seen: ${error.message}`
    }
  }
}

function described({ pid, application_name: application, user, address }: Holder): string {
  return `process ${pid} of Postgres (application "${application}", user ${user ?? 'unknown'}, from ${address ?? 'an address that is not shown'})`
}

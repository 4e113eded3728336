/** The part of pg-native and libpq that is used here. Neither package has types. */
declare module 'pg-native' {
  class Libpq {
    exec(text: string): void
    /** Asserted to be PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_COPY_IN... */
    resultStatus(): string
    resultErrorMessage(): string
    /** null when the last call gave no result at all. A field that the server did not send is undefined. */
    resultErrorFields(): Readonly<Partial<Record<string, string>>> | null
    errorMessage(): string
    /** 0 idle, 1 active, 2 in a transaction, 3 in a failed transaction, 4 no connection. */
    transactionStatus(): number
    /** Only after a result that is not an error: it crashes without a result. */
    cmdStatus(): string
    cmdTuples(): string
    /** 1 sent, 0 would block (never here: the connection blocks), -1 failed. */
    putCopyData(chunk: Buffer): number
    putCopyEnd(errorMessage?: string): number
    /** A row of a COPY TO STDOUT with its line feed, blocking; -1: that was all, -2: failed. */
    getCopyData(): Buffer | number
    /** false: there is no further result. */
    getResult(): boolean
    /** Forgets the last result. */
    clear(): void
    /** Of an asynchronous connection: before the Client reads what came. */
    on(event: 'readable', listener: () => void): this
    /** The Client does it with its first statement only. */
    startReader(): void
  }

  type Answer = (error: Error | undefined, rows?: unknown[]) => void

  class Client {
    readonly pq: Libpq
    constructor()
    /** @throws Error with libpq's message */
    connectSync(conninfo: string): void
    /** @throws Error with the server's or libpq's message */
    querySync(text: string, values?: readonly (string | null)[]): unknown[]
    /** Connects in a thread of libuv's pool; nothing else may be called before its answer, not even end(). */
    connect(conninfo: string, answer: (error?: Error) => void): void
    /** These answer once, unless the connection is lost meanwhile: then there is only the event `error`. */
    query(text: string, values: readonly (string | null)[], answer: Answer): void
    /** Without values `text` may hold several statements. */
    query(text: string, answer: Answer): void
    prepare(name: string, text: string, parameters: number, answer: Answer): void
    execute(name: string, values: readonly (string | null)[], answer: Answer): void
    on(event: 'error', listener: (error: Error) => void): this
    end(): void
  }

  export = Client
}

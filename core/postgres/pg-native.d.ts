/** The part of pg-native and libpq that connection.ts uses: the synchronous calls. Neither package has types. */
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
    /** false: there is no further result. */
    getResult(): boolean
  }

  class Client {
    readonly pq: Libpq
    constructor()
    /** @throws Error with libpq's message */
    connectSync(conninfo: string): void
    /** @throws Error with the server's or libpq's message */
    querySync(text: string, values?: readonly (string | null)[]): unknown[]
    end(): void
  }

  export = Client
}

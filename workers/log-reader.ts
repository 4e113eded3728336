import { Fault } from '../core/faults.ts'
import { formatLogPosition, type LogPosition, parseLogPosition } from '../core/log-position.ts'
import { type RedisConnection, redisFault } from '../core/redis/connection.ts'
import { ConnectionRun } from '../core/redis/connection-run.ts'
import type { ShardKeys } from '../core/redis/keys.ts'

/** One entry of the log: a decided batch with its results, or an opened sale (then there are no results). */
export interface LogEntry {
  readonly position: LogPosition
  readonly kind: 'batch' | 'opened'
  readonly message: Buffer
  readonly results: Buffer | undefined
}

/** What one read found. */
export interface ReadEntries {
  /** The run of Redis that it was read from. */
  readonly run: string
  readonly entries: readonly LogEntry[]
}

type XReadReply = [key: Buffer, entries: [id: Buffer, fields: Buffer[] | null][]][] | null

/** The log's reading end. Give it a connection of its own, not yet connected: other commands would wait while it blocks. */
export class LogReader {
  readonly #redis: RedisConnection
  readonly #keys: ShardKeys
  readonly #run: ConnectionRun

  constructor(redis: RedisConnection, keys: ShardKeys) {
    this.#redis = redis
    this.#keys = keys
    this.#run = new ConnectionRun(redis)
  }

  /**
   * The entries after a position, in their order, at most `entriesMax`. Waits up to `blockMs` for the first one;
   * 0 does not wait.
   * @throws Fault HC_REDIS_UNAVAILABLE | HC_REDIS_REFUSED | HC_LOG_MALFORMED
   */
  async read(after: LogPosition, options: { entriesMax: number; blockMs: number }): Promise<ReadEntries> {
    await this.#run.asked
    // Read without a pause before the command is sent: a connection that is made meanwhile doesn't get the command.
    const run = this.#run.current
    const block = options.blockMs > 0 ? ['BLOCK', options.blockMs] : []
    const stream = ['STREAMS', this.#keys.log, formatLogPosition(after)]
    const reply = (await call(this.#redis, 'XREAD', 'COUNT', options.entriesMax, ...block, ...stream)) as XReadReply
    const entries: LogEntry[] = []
    for (const [id, fields] of reply?.[0]?.[1] ?? []) {
      const entry = logEntry(id.toString('latin1'), fields ?? [])
      // What stands before a malformed entry is still good: the next read will start with the malformed one.
      if (entry === undefined && entries.length > 0) break
      if (entry === undefined)
        throw new Fault('HC_LOG_MALFORMED', `the log entry ${id.toString('latin1')} is neither a batch nor a sale`)
      entries.push(entry)
    }
    return { run, entries }
  }

  /** The run of Redis that the connection leads to; '' while it isn't known. */
  get run(): string {
    return this.#run.known
  }

  /** The next read has a connection that may lead to another run. */
  reconnect(): void {
    this.#redis.disconnect(true)
  }
}

/** Removes what is in Postgres from the log, on a connection that others use as well. */
export class LogTrimmer {
  readonly #redis: RedisConnection
  readonly #keys: ShardKeys

  constructor(redis: RedisConnection, keys: ShardKeys) {
    this.#redis = redis
    this.#keys = keys
  }

  /** Removes every entry up to and including the position. Exact: an approximate trim would keep some. @throws Fault */
  async trim(through: LogPosition): Promise<void> {
    const firstKept = formatLogPosition({ epoch: through.epoch, seq: through.seq + 1 })
    await call(this.#redis, 'XTRIM', this.#keys.log, 'MINID', firstKept)
  }
}

async function call(redis: RedisConnection, command: string, ...args: (string | number)[]): Promise<unknown> {
  try {
    return await redis.callBuffer(command, ...args)
  } catch (error) {
    const fault = redisFault(error)
    // No reply in time on a connection that looks well: it may be dead without a word, so the next is a new one.
    if (fault.code === 'HC_REDIS_UNAVAILABLE' && redis.status === 'ready') redis.disconnect(true)
    throw fault
  }
}

function logEntry(id: string, [name, message, resultsName, results]: readonly Buffer[]): LogEntry | undefined {
  const position = parseLogPosition(id)
  if (message !== undefined && name?.toString('latin1') === 'o') {
    return { position, kind: 'opened', message, results: undefined }
  }
  if (message !== undefined && name?.toString('latin1') === 'b' && resultsName?.toString('latin1') === 'r' && results) {
    return { position, kind: 'batch', message, results }
  }
  return undefined
}

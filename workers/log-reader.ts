import { Fault } from '../core/faults.ts'
import { formatLogPosition, type LogPosition, parseLogPosition } from '../core/log-position.ts'
import { isFromReplica, type RedisConnection, redisFault } from '../core/redis/connection.ts'
import type { ShardKeys } from '../core/redis/keys.ts'

/** One entry of the log: a decided batch with its results, or an opened sale (then there are no results). */
export interface LogEntry {
  readonly position: LogPosition
  readonly kind: 'batch' | 'opened'
  readonly message: Buffer
  readonly results: Buffer | undefined
}

type XReadReply = [key: Buffer, entries: [id: Buffer, fields: Buffer[] | null][]][] | null

/** The log's reading end. Give it a connection of its own when it is to block: other commands would wait for it. */
export class LogReader {
  readonly #redis: RedisConnection
  readonly #keys: ShardKeys

  constructor(redis: RedisConnection, keys: ShardKeys) {
    this.#redis = redis
    this.#keys = keys
  }

  /**
   * The entries after a position, in their order, at most `entriesMax`. Waits up to `blockMs` for the first one;
   * 0 does not wait.
   * @throws Fault HC_REDIS_UNAVAILABLE | HC_REDIS_REFUSED | HC_LOG_MALFORMED
   */
  async read(after: LogPosition, options: { entriesMax: number; blockMs: number }): Promise<LogEntry[]> {
    const block = options.blockMs > 0 ? ['BLOCK', options.blockMs] : []
    const stream = ['STREAMS', this.#keys.log, formatLogPosition(after)]
    const reply = (await this.#call('XREAD', 'COUNT', options.entriesMax, ...block, ...stream)) as XReadReply
    const entries: LogEntry[] = []
    for (const [id, fields] of reply?.[0]?.[1] ?? []) {
      const entry = logEntry(id.toString('latin1'), fields ?? [])
      // What stands before a malformed entry is still good: the next read will start with the malformed one.
      if (entry === undefined && entries.length > 0) break
      if (entry === undefined)
        throw new Fault('HC_LOG_MALFORMED', `the log entry ${id.toString('latin1')} is neither a batch nor a sale`)
      entries.push(entry)
    }
    return entries
  }

  /** Removes every entry up to and including the position. Exact: an approximate trim would keep some. @throws Fault */
  async trim(through: LogPosition): Promise<void> {
    const firstKept = formatLogPosition({ epoch: through.epoch, seq: through.seq + 1 })
    await this.#call('XTRIM', this.#keys.log, 'MINID', firstKept)
  }

  async #call(command: string, ...args: (string | number)[]): Promise<unknown> {
    try {
      return await this.#redis.callBuffer(command, ...args)
    } catch (error) {
      const fault = redisFault(error)
      // No reply in time on a connection that looks well: it may be dead without a word, so the next is a new one.
      const isDead = fault.code === 'HC_REDIS_UNAVAILABLE' && this.#redis.status === 'ready'
      if (isDead || isFromReplica(fault)) this.#redis.disconnect(true)
      throw fault
    }
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

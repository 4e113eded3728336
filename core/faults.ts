import { AssertionError } from 'node:assert'

/**
 * The catalogue of faults: what can go wrong in the world around us, each with a stable code that
 * operators may alert on. Outcomes (an item is sold) are values, see outcomes.ts; bugs are assertions.
 * docs/ERRORS.md documents every code; a test holds the two together.
 */
export const faultTitles = {
  HC_CONFIG: 'A setting is missing or not allowed',
  HC_ADDON: 'A native addon does not load in this Node.js',
  HC_PORT_IN_USE: 'Another process listens on the port',
  HC_DATA_DIR_IN_USE: 'Another server uses the data directory',
  HC_EMBEDDED_FAILED: 'An embedded service did not start or ended by itself',
  HC_REDIS_UNAVAILABLE: 'Redis did not answer',
  HC_REDIS_CLUSTER: 'Redis is not the cluster, or not the one server, that the settings say',
  HC_REDIS_UNSUITABLE: 'Redis is not set up so that it keeps what it acknowledged',
  HC_REDIS_REFUSED: 'Redis refused a batch',
  HC_POSTGRES_UNAVAILABLE: 'Postgres did not answer',
  HC_POSTGRES_REFUSED: 'Postgres refused a statement',
  HC_POSTGRES_LOCKED: 'The lock of another session keeps rows out of Postgres',
  HC_POSTGRES_BUSY: 'Too many statements wait for Postgres',
  HC_POSTGRES_POOLED: 'A pooler shares sessions of Postgres between its clients',
  HC_SCHEMA: 'The database schema is not one that this version knows',
  HC_SCHEMA_BUSY: 'Somebody else holds a lock that setting up the tables needs',
  HC_LOG_LOST: 'Redis lacks log entries that Postgres already has',
  HC_LOG_GAP: 'Entries are missing in the log',
  HC_RECORD_UNSOUND: 'The state of Redis is not known to have everything that was sold',
  HC_RECORD_FOREIGN: 'Redis belongs to the record of another database',
  HC_SHARD_AWAITED: 'A shard waits for another one that cannot be asked',
  HC_SALE_INTERVAL: 'Another interval between sales is in use',
  HC_SHARDS: 'Another number of shards is in use',
  HC_LOG_MALFORMED: 'A log entry cannot be decoded',
  HC_LOG_TERMS: 'A sale in the log is spread over another number of shards than on record',
  HC_OFFSET_MOVED: 'Another persister moved the log offset',
  HC_RUN_REPLACED: 'Another run of Redis was admitted',
  HC_COMMIT_LATE: 'Postgres does not confirm purchases in time',
  HC_REPLICA_LATE: 'The replicas of a shard do not confirm decisions',
  HC_REPLICA_NONE: 'A shard has no replica that answers could wait for',
  HC_TOKEN_KEYS: 'The keys that tokens are checked with cannot be read',
  HC_CRASH_BUDGET: 'A process died too often',
  HC_START_TIMEOUT: 'A process did not become ready in time',
  HC_SHUTDOWN_TIMEOUT: 'The shutdown did not finish before its deadline',
} as const

export type FaultCode = keyof typeof faultTitles

/** A fault of the world around us. `code` is stable; `message` is for people and never holds a secret. */
export class Fault extends Error {
  readonly code: FaultCode

  constructor(code: FaultCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'Fault'
    this.code = code
  }
}

const bugTypes = [AssertionError, TypeError, RangeError, ReferenceError, SyntaxError] as const

/** What our own code alone is to blame for: clients, sockets and TLS have other errors for what goes wrong in the world. */
export function isBug(error: unknown): boolean {
  return bugTypes.some((type) => error instanceof type)
}

/** For a promise whose fault means nothing more than that there is no answer: `undefined` for it. A bug stays one. */
export function undefinedForFault(error: unknown): undefined {
  if (!(error instanceof Fault)) throw error
  return undefined
}

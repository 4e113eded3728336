/** Any number that nobody else takes in a database: 'hotcakes' in a phone's letters. */
const ours = 46822537

/** Whoever sets the tables up: one number, as versions before have it. */
export const schemaLock = ours
/** Whoever makes a day's partitions: ensure_attempts_partitions in core/postgres/schema/001-record.sql. */
export const partitionsLock = [ours, 1] as const
/** Whoever rebuilds Redis. */
export const recoveryLock = [ours, 2] as const
/** Whoever makes the indexes of a day that is over: index_attempts in core/postgres/schema/008-day-indexes.sql. */
export const dayIndexLock = [ours, 3] as const
/** Whoever takes days out of the record: `npm run retire`. */
export const retireLock = [ours, 4] as const

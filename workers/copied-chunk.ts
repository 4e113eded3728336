import type { LogPosition } from '../core/log-position.ts'

export const copiedTables = [
  'sales',
  'checkout_attempts',
  'purchase_attempts',
  'release_attempts',
  'purchases',
  'right_transfers',
] as const
export type CopiedTable = (typeof copiedTables)[number]

/** What one transaction of the copy thread wrote. */
export interface CopiedChunk {
  /** All up to here, which is so many entries: the whole chunk, or what stands before an entry that can't be read. */
  readonly through: LogPosition
  readonly entries: number
  readonly rows: Readonly<Record<CopiedTable, number>>
  /** From BEGIN to the answer to COMMIT. */
  readonly seconds: number
}

export function rowCount({ rows }: CopiedChunk): number {
  return copiedTables.reduce((sum, table) => sum + rows[table], 0)
}

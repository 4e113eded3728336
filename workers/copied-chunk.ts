export const copiedTables = ['sales', 'checkout_attempts', 'purchase_attempts', 'purchases'] as const
export type CopiedTable = (typeof copiedTables)[number]

/** What one transaction of the copy thread wrote. */
export interface CopiedChunk {
  readonly rows: Readonly<Record<CopiedTable, number>>
  /** From BEGIN to the answer to COMMIT. */
  readonly seconds: number
}

/** The tables of attempts: their rows have an outcome, and name an item of a sale. */
export const attemptTables = ['checkout_attempts', 'purchase_attempts', 'release_attempts'] as const

/** The tables of which a partition holds a day (UTC). */
export const dailyTables = [...attemptTables, 'right_transfers'] as const
export type DailyTable = (typeof dailyTables)[number]

/** The name of the partition of a day, which is written as 2026-11-26. */
export function partitionName(table: DailyTable, day: string): string {
  return `${table}_${day.replaceAll('-', '')}`
}

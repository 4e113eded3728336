import {
  type RecordedPurchase,
  type ToldPurchase,
  toldColumns,
  toldPurchase,
} from '../../../core/purchases/recorded-purchase.ts'

export const exportFormats = ['csv', 'ndjson'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** What stands before the first purchase. */
export function headOf(format: ExportFormat): string {
  return format === 'csv' ? `${toldColumns.join(',')}\n` : ''
}

export function linesOf(format: ExportFormat, purchases: readonly RecordedPurchase[]): string {
  const line = format === 'csv' ? csvLine : jsonLine
  return purchases.map((purchase) => line(toldPurchase(purchase))).join('')
}

function jsonLine(purchase: ToldPurchase): string {
  return `${JSON.stringify(purchase)}\n`
}

function csvLine(purchase: ToldPurchase): string {
  return `${toldColumns.map((column) => csvField(String(purchase[column]))).join(',')}\n`
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

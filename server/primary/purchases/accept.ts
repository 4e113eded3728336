export const purchasesFormats = ['application/json', 'application/x-ndjson'] as const
export type PurchasesFormat = (typeof purchasesFormats)[number]

const qualityPattern = /^q=(0(\.\d{0,3})?|1(\.0{0,3})?)$/i

/** The format that the header allows with the greatest quality, JSON where it has no preference; undefined: neither. */
export function acceptedFormat(accept: string | undefined): PurchasesFormat | undefined {
  if (accept === undefined || accept.trim() === '') return 'application/json'
  const ranges = accept.split(',').map(rangeOf)
  let best: { format: PurchasesFormat; quality: number } | undefined
  for (const format of purchasesFormats) {
    const quality = qualityOf(format, ranges)
    if (quality > (best?.quality ?? 0)) best = { format, quality }
  }
  return best?.format
}

interface Range {
  readonly type: string
  readonly quality: number
}

function rangeOf(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  if (weight === undefined) return { type, quality: 1 }
  const quality = qualityPattern.exec(weight)?.[1]
  return { type, quality: quality === undefined ? 0 : Number(quality) }
}

/** That of the most exact range that covers the format. */
function qualityOf(format: PurchasesFormat, ranges: readonly Range[]): number {
  for (const type of [format, 'application/*', '*/*']) {
    const range = ranges.find((each) => each.type === type)
    if (range !== undefined) return range.quality
  }
  return 0
}

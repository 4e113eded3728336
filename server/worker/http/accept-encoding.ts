/** The better one first. */
const encodings = ['br', 'gzip'] as const
export type Encoding = (typeof encodings)[number]

/** How to compress for a client with this Accept-Encoding ('' when there is none); `undefined`: not at all. */
export function acceptedEncoding(header: string): Encoding | undefined {
  if (header === '') return undefined
  const weights = new Map<string, number>()
  for (const part of header.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim())
    const weight = parameters.find((text) => text.startsWith('q='))
    weights.set(name, weight === undefined ? 1 : Number(weight.slice(2)))
  }
  const rest = weights.get('*') ?? 0
  return encodings.find((encoding) => (weights.get(encoding) ?? rest) > 0)
}

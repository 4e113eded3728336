/*
 * As much of Redis' protocol (RESP2) as direct-calls.ts needs: ioredis has all of it.
 */

const dollar = 36
const star = 42
const minus = 45
const zero = 48

/** A command with its arguments, as it goes over the wire. */
export function encodeCommand(parts: readonly (string | number | Buffer)[]): Buffer {
  const pieces: (string | Buffer)[] = []
  let text = `*${parts.length}\r\n`
  let bytes = 0
  for (const part of parts) {
    if (typeof part === 'object') {
      text += `$${part.length}\r\n`
      pieces.push(text, part)
      bytes += Buffer.byteLength(text) + part.length
      text = '\r\n'
    } else {
      const word = String(part)
      text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`
    }
  }
  const encoded = Buffer.allocUnsafe(bytes + Buffer.byteLength(text))
  let at = 0
  for (const piece of pieces) at += typeof piece === 'string' ? encoded.write(piece, at) : piece.copy(encoded, at)
  encoded.write(text, at)
  return encoded
}

/** The reply from `at` to `end` as two texts; `undefined` when it is none. The chunk's memory, not a copy. */
export function pairAt(chunk: Buffer, at: number, end: number): [Buffer, Buffer] | undefined {
  // *2 and a line break
  if (chunk[at] !== star || chunk[at + 1] !== zero + 2 || chunk[at + 4] !== dollar) return undefined
  const firstLineEnd = chunk.indexOf('\r\n', at + 4)
  const first = firstLineEnd + 2
  const firstEnd = first + numberAt(chunk, at + 5, firstLineEnd)
  const secondHead = firstEnd + 2
  if (firstEnd < first || chunk[secondHead] !== dollar) return undefined
  const second = chunk.indexOf('\r\n', secondHead) + 2
  return second < end ? [chunk.subarray(first, firstEnd), chunk.subarray(second, end - 2)] : undefined
}

/** Decimal, of Redis' own making. */
function numberAt(chunk: Buffer, from: number, to: number): number {
  if (chunk[from] === minus) return -1
  let value = 0
  for (let at = from; at < to; at++) value = value * 10 + (chunk[at] as number) - zero
  return value
}

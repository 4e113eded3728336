import { randomFillSync } from 'node:crypto'

/**
 * Item id: `<sale>-<index>`; code: `<sale>-<index>-<nonce>`. Both numbers are decimal without sign or leading zeros.
 * The index stays a string everywhere on the hot path: Redis uses it as a hash field, and a number would have to be
 * formatted there for every command.
 */

/** Digits of a sale number or index: all such numbers are exact in a double and in a Postgres bigint. */
export const idDigitsMax = 15
/** Characters of a nonce, base64url: 16 x 6 = 96 random bits. */
export const nonceLength = 16
/** As long as an identity provider's may be: OpenID Connect Core 1.0, section 2, `sub`. */
export const userIdLengthMax = 255

export interface ItemId {
  readonly sale: number
  readonly index: string
}

export interface HoldCode extends ItemId {
  readonly nonce: string
}

const zero = 48
const nine = 57
const dash = 45

/** The end of the decimal number that starts at `start`, or -1 if there is none (empty, leading zero, too long). */
function numberEnd(text: string, start: number): number {
  let at = start
  for (; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char < zero || char > nine) break
  }
  const digits = at - start
  if (digits === 0 || digits > idDigitsMax) return -1
  return digits > 1 && text.charCodeAt(start) === zero ? -1 : at
}

/** `undefined` when the text is not an item id. */
export function parseItemId(text: string): ItemId | undefined {
  const saleEnd = numberEnd(text, 0)
  if (saleEnd < 0 || text.charCodeAt(saleEnd) !== dash) return undefined
  if (numberEnd(text, saleEnd + 1) !== text.length) return undefined
  return { sale: Number(text.slice(0, saleEnd)), index: text.slice(saleEnd + 1) }
}

/** `undefined` when the text is not a code. */
export function parseCode(text: string): HoldCode | undefined {
  const itemEnd = text.length - nonceLength - 1
  if (itemEnd < 3 || text.charCodeAt(itemEnd) !== dash) return undefined
  for (let at = itemEnd + 1; at < text.length; at++) if (!isNonceChar(text.charCodeAt(at))) return undefined
  const item = parseItemId(text.slice(0, itemEnd))
  return item && { sale: item.sale, index: item.index, nonce: text.slice(itemEnd + 1) }
}

export function formatItemId(sale: number, index: string | number): string {
  return `${sale}-${index}`
}

export function formatCode(sale: number, index: string | number, nonce: string): string {
  return `${sale}-${index}-${nonce}`
}

const nonceChars = charTable((char) => /[A-Za-z0-9_-]/.test(char))
/**
 * A class for a regular expression: printable ASCII. Without what could end a string in JSON or an attribute in HTML, begin an
 * escape in COPY's text, or end a parameter of a query that is decoded.
 */
export const userIdChars = "[!#-%'-;=?-\\[\\]-~]"
/** For people. */
export const userIdForm = `1 to ${userIdLengthMax} characters of printable ASCII, but no space and none of " & < > \\`
const userIdCharTable = charTable((char) => new RegExp(userIdChars).test(char))

function charTable(accepts: (char: string) => boolean): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => Number(accepts(String.fromCharCode(code))))
}

function isNonceChar(code: number): boolean {
  return nonceChars[code] === 1
}

/** 1 to 255 characters of `userIdChars`. */
export function isUserId(text: string): boolean {
  if (text.length === 0 || text.length > userIdLengthMax) return false
  for (let at = 0; at < text.length; at++) if (userIdCharTable[text.charCodeAt(at)] !== 1) return false
  return true
}

const nonceBytes = (nonceLength * 6) / 8
const nonceBlockCount = 512

/**
 * Issues nonces from the operating system's random source, read and encoded in blocks of 512: one nonce alone costs a
 * microsecond of call overhead, out of a block a slice of its text. A slice keeps its block's 8 KB in memory: a worker keeps
 * nonces only as long as their commands wait.
 */
export class NonceSource {
  readonly #bytes = Buffer.alloc(nonceBytes * nonceBlockCount)
  #block = ''
  #at = 0

  next(): string {
    if (this.#at === this.#block.length) {
      this.#block = randomFillSync(this.#bytes).toString('base64url')
      this.#at = 0
    }
    const nonce = this.#block.slice(this.#at, this.#at + nonceLength)
    this.#at += nonceLength
    return nonce
  }
}

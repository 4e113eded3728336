import { randomBytes, randomFillSync, randomUUID } from 'node:crypto'
import { NonceSource } from '../../core/ids.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

const nonceBytes = 12
const blockNonces = 512

/** Reads a whole block, and encodes each nonce by itself. */
class BlockOfBytesSource {
  readonly #block = Buffer.alloc(nonceBytes * blockNonces)
  #at = this.#block.length

  next(): string {
    if (this.#at === this.#block.length) {
      randomFillSync(this.#block)
      this.#at = 0
    }
    const nonce = this.#block.toString('base64url', this.#at, this.#at + nonceBytes)
    this.#at += nonceBytes
    return nonce
  }
}

/** They are random, so what is compared is what a nonce has to be: URL-safe, of one length, never the same twice. */
function quality(next: () => string): object {
  const nonces = Array.from({ length: 2_000 }, next)
  return {
    isUrlSafe: nonces.every((nonce) => /^[A-Za-z0-9_-]{16,36}$/.test(nonce)),
    lengths: new Set(nonces.map((nonce) => nonce.length)).size,
    distinct: new Set(nonces).size,
  }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const operations = smoke ? 16 : 1_024
  const [source, bytes] = [new NonceSource(), new BlockOfBytesSource()]
  const sources: Record<string, () => string> = {
    NonceSource: () => source.next(),
    randomUUID: () => randomUUID(),
    'randomBytes for each': () => randomBytes(nonceBytes).toString('base64url'),
    'a block of bytes': () => bytes.next(),
  }
  const candidates = Object.entries(sources).map(([name, next]): Candidate => {
    const run = () => {
      let length = 0
      for (let n = 0; n < operations; n++) length += next().length
      return length
    }
    return { name, run, operations, result: () => quality(next) }
  })
  yield { name: 'nonce', operation: 'nonce', candidates }
}

export const codeIssue: Subject = {
  name: 'code-issue',
  about:
    'the random part of a code: NonceSource, randomUUID, randomBytes for each, a block whose bytes are encoded one by one',
  cases,
}

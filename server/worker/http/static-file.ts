import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

import { compressedBytesMin, largeFileBytesMin } from '../limits.ts'
import { acceptedEncoding, type Encoding } from './accept-encoding.ts'
import { entityTag, namesTag } from './entity-tag.ts'
import type { Exchange } from './exchange.ts'
import { type ReplyHead, replyHead } from './replies.ts'
import { SendBudget } from './send-budget.ts'

export interface StaticFileOptions {
  readonly mediaType: string
  readonly contentSecurityPolicy: string
  /** Its path names its content: it is kept and never asked about again. */
  readonly isImmutable?: boolean
}

/** The file as one kind of client gets it. */
interface Representation {
  readonly bytes: Buffer
  readonly head: ReplyHead
}

const isText = /^text\/|^image\/svg|json$|javascript/
const compress = {
  // The last two levels take ten times as long for some per cent.
  br: (bytes: Buffer) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes, { level: 9 }),
} as const satisfies Record<Encoding, (bytes: Buffer) => Promise<Buffer>>

/**
 * Answers with a file that does not change while the server runs, or with 304 to whoever has it. For tagged routes.
 *
 * A text is compressed when somebody first asks for it so, in a thread of libuv, and kept: a start has nothing to wait for,
 * and a worker that nobody asks for pages never does it. Whoever comes meanwhile waits those milliseconds.
 */
export function staticFile(bytes: Buffer, options: StaticFileOptions): (exchange: Exchange) => void {
  const file = new StaticFile(bytes, options)
  return (exchange) => file.answer(exchange)
}

class StaticFile {
  readonly #plain: Representation
  readonly #isCompressed: boolean
  readonly #options: StaticFileOptions
  /** What a representation's tag begins with: a client that has any of them has the file. */
  readonly #tag: string
  readonly #budget: SendBudget | undefined
  readonly #ready: Partial<Record<Encoding, Representation>> = {}
  readonly #coming: Partial<Record<Encoding, Promise<Representation>>> = {}

  constructor(bytes: Buffer, options: StaticFileOptions) {
    this.#options = options
    this.#isCompressed = isText.test(options.mediaType) && bytes.length >= compressedBytesMin
    this.#tag = entityTag(bytes)
    this.#budget = bytes.length < largeFileBytesMin ? undefined : new SendBudget()
    this.#plain = this.#representation(bytes)
  }

  answer(exchange: Exchange): void {
    const encoding = this.#isCompressed ? acceptedEncoding(exchange.acceptEncoding) : undefined
    const known = this.#knownTag(exchange.ifNoneMatch, encoding)
    const ready = encoding === undefined ? this.#plain : this.#ready[encoding]
    if (known !== undefined) exchange.answer(this.#head('304 Not Modified', known, encoding), '')
    else if (ready !== undefined) this.#send(exchange, ready)
    else if (encoding !== undefined) void this.#sendCompressed(exchange, encoding)
  }

  #send(exchange: Exchange, { head, bytes }: Representation): void {
    if (this.#budget?.takes(exchange.startedMs, bytes.length) === false) exchange.shed('overloaded')
    else exchange.answer(head, bytes)
  }

  /** Rejects with a bug alone, which ends the process. */
  async #sendCompressed(exchange: Exchange, encoding: Encoding): Promise<void> {
    this.#coming[encoding] ??= this.#compressed(encoding)
    this.#send(exchange, await this.#coming[encoding])
  }

  async #compressed(encoding: Encoding): Promise<Representation> {
    const ready = this.#representation(await compress[encoding](this.#plain.bytes), encoding)
    this.#ready[encoding] = ready
    return ready
  }

  /** The one that the client gets, or that it has from before it could take another. */
  #knownTag(ifNoneMatch: string, encoding: Encoding | undefined): string | undefined {
    if (ifNoneMatch === '') return undefined
    const tags = [encoding, undefined].map((each) => tagOf(this.#tag, each))
    return tags.find((tag) => namesTag(ifNoneMatch, tag))
  }

  #representation(bytes: Buffer, encoding?: Encoding): Representation {
    return { bytes, head: this.#head('200 OK', tagOf(this.#tag, encoding), encoding) }
  }

  #head(status: '200 OK' | '304 Not Modified', tag: string, encoding: Encoding | undefined): ReplyHead {
    const { mediaType, contentSecurityPolicy, isImmutable = false } = this.#options
    const isWhole = status === '200 OK'
    const lines = [
      status,
      ...(isWhole ? [`Content-Type: ${mediaType}`] : []),
      ...(isWhole && encoding !== undefined ? [`Content-Encoding: ${encoding}`] : []),
      ...(this.#isCompressed ? ['Vary: Accept-Encoding'] : []),
      `ETag: ${tag}`,
      // no-cache: kept, and asked about each time, because a new version of the server may have another one.
      `Cache-Control: ${isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache'}`,
      `Content-Security-Policy: ${contentSecurityPolicy}`,
      'X-Content-Type-Options: nosniff',
      'Referrer-Policy: no-referrer',
    ]
    return replyHead(isWhole ? 200 : 304, lines.join('\r\n'))
  }
}

/** Two representations of one file are no bytes that may be mixed. */
function tagOf(tag: string, encoding: Encoding | undefined): string {
  return encoding === undefined ? tag : `${tag.slice(0, -1)}-${encoding}"`
}

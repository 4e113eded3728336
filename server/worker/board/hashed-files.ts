import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { extname } from 'node:path'

/** Characters, of 6 bits each: two contents of one file will not have the same. */
const hashLength = 10
const hashedForm = new RegExp(`\\.[\\w-]{${hashLength}}(\\.\\w+)$`)
/** How one file names another: in quotes or a url(), below /board/ or beside it. */
const reference = /(["'(])(\/board\/|\.\/)([\w.-]+)(?=["')])/g
const hasReferences = new Set(['.html', '.css', '.mjs'])

/**
 * Files that name each other by their contents: `board.css` is asked for as `board.<hash>.css`, which may be kept for ever. A
 * file's hash is of what it says after its own references have theirs, so a change reaches everybody who uses it.
 */
export class HashedFiles {
  readonly #sources: ReadonlyMap<string, Buffer>
  /** `undefined`: it is being made. */
  readonly #made = new Map<string, Buffer | undefined>()

  constructor(sources: ReadonlyMap<string, Buffer>) {
    this.#sources = sources
  }

  /** The file's name without a hash, whether there is such a file or not. */
  static nameOf(hashed: string): string {
    return hashed.replace(hashedForm, '$1')
  }

  hashedName(name: string): string {
    const hash = createHash('sha256').update(this.bytes(name)).digest('base64url').slice(0, hashLength)
    const ending = extname(name)
    return `${name.slice(0, -ending.length)}.${hash}${ending}`
  }

  /** What is sent of it. */
  bytes(name: string): Buffer {
    const made = this.#made.get(name)
    if (made !== undefined) return made
    assert(!this.#made.has(name), `${name} is used by what it uses, and can't have a hash`)
    this.#made.set(name, undefined)
    const source = this.#sources.get(name)
    assert(source !== undefined, `the pages have no ${name}`)
    const bytes = hasReferences.has(extname(name)) ? Buffer.from(this.#referring(source.toString())) : source
    this.#made.set(name, bytes)
    return bytes
  }

  #referring(text: string): string {
    return text.replace(reference, (whole: string, quote: string, path: string, name: string) => {
      return this.#sources.has(name) ? `${quote}${path}${this.hashedName(name)}` : whole
    })
  }
}

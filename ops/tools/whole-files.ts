import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** A file that is there already, and that nobody said to replace. */
export class FileExists extends Error {}

/** A file that gets its name when it is whole and on disk. Until then it is another one in the same folder. */
export class WholeFile {
  readonly path: string
  bytes = 0
  readonly #hash: Hash = createHash('sha256')
  readonly #handle: FileHandle
  readonly #temporary: string

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.path = path
    this.#temporary = temporary
    this.#handle = handle
  }

  static async create(path: string): Promise<WholeFile> {
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.partial`)
    return new WholeFile(path, temporary, await open(temporary, 'wx'))
  }

  async write(content: string | Buffer): Promise<void> {
    const data = Buffer.from(content)
    if (data.length === 0) return
    await this.#handle.writeFile(data)
    this.#hash.update(data)
    this.bytes += data.length
  }

  /** Of everything that was written, in hexadecimal digits. Nothing can be written after it. */
  digest(): string {
    return this.#hash.digest('hex')
  }

  /**
   * Waits for the disk, and gives it its name.
   * @param options.replace what has the name; without it a file that has come meanwhile is left alone
   * @throws FileExists
   */
  async finish({ replace }: { replace: boolean }): Promise<void> {
    await this.#handle.sync()
    await this.#handle.close()
    if (replace) await rename(this.#temporary, this.path)
    else {
      // A rename would replace whatever has got the name since it was looked; a second name is refused.
      await link(this.#temporary, this.path).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EEXIST' ? new FileExists(this.path) : error
      })
      await rm(this.#temporary)
    }
    await syncFolder(dirname(this.path))
  }

  /** Leaves nothing behind of what has no name yet. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined) // it is closed
    await rm(this.#temporary, { force: true })
  }
}

/** Whether anything has the name: a link that leads nowhere too. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Names are on disk when their folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

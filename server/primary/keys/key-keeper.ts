import { Fault } from '../../../core/faults.ts'
import type { TokenKeysMessage } from '../../../core/ipc.ts'
import { keyLookRestMs } from '../../../core/limits.ts'
import type { Log } from '../../../core/log.ts'
import type { TokenJwk } from '../../../core/tokens/key-set.ts'
import type { KeySource } from './key-source.ts'

export interface KeyKeeperOptions {
  readonly source: KeySource
  readonly log: Log
  /** After every look, also one that failed: what there is, for all HTTP workers. */
  readonly onLooked: (held: TokenKeysMessage) => void
}

/**
 * Keeps the keys of signed buyers for all workers: looks at their source again and again, and when a token names a key that
 * nobody knows. While the source is away, the keys that it had last are kept, and the workers judge by their age.
 */
export class KeyKeeper {
  readonly #options: KeyKeeperOptions
  #keys: readonly TokenJwk[] = []
  #seenMs = 0
  #triedAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #isLooking = false
  #isClosed = false
  #hasFailed = false

  constructor(options: KeyKeeperOptions) {
    this.#options = options
  }

  /** The first look. @throws Fault HC_TOKEN_KEYS */
  async open(): Promise<void> {
    this.#took(await this.#options.source.read())
    this.#tell()
    this.#arm(this.#options.source.lookMs)
  }

  /** Looks now, unless it has just looked or does already. */
  want(): void {
    const { restMs } = this.#options.source
    if (this.#isClosed || this.#isLooking) return
    if (performance.now() - this.#triedAtMs < (this.#hasFailed ? keyLookRestMs : restMs)) this.#tell()
    else void this.#look()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  async #look(): Promise<void> {
    const { source, log } = this.#options
    clearTimeout(this.#timer)
    this.#isLooking = true
    try {
      const keys = await source.read()
      const isNew = JSON.stringify(keys) !== JSON.stringify(this.#keys)
      if (isNew) log.info({ keys: keys.length }, `the keys of signed buyers have changed at ${source.place}`)
      else if (this.#hasFailed) log.info(`the keys of signed buyers are there again: ${source.place}`)
      this.#took(keys)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const { code, message } = error
      if (!this.#hasFailed) log.error({ code }, `the known keys of signed buyers are kept for now: ${message}`)
      this.#hasFailed = true
      this.#triedAtMs = performance.now()
    }
    this.#isLooking = false
    if (this.#isClosed) return
    this.#tell()
    this.#arm(this.#hasFailed ? Math.min(keyLookRestMs, source.lookMs) : source.lookMs)
  }

  #took(keys: readonly TokenJwk[]): void {
    this.#keys = keys
    this.#seenMs = Date.now()
    this.#triedAtMs = performance.now()
    this.#hasFailed = false
  }

  #tell(): void {
    const { onLooked, source } = this.#options
    const restMs = this.#hasFailed ? keyLookRestMs : source.restMs
    const againInMs = Math.max(0, this.#triedAtMs + restMs - performance.now())
    onLooked({ type: 'token_keys', keys: this.#keys, seenMs: this.#seenMs, againInMs, isAway: this.#hasFailed })
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => void this.#look(), ms)
  }
}

import { Fault } from '../../core/faults.ts'
import type { Log } from '../../core/log.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'

export interface RunCheckOptions {
  readonly store: Pick<SaleStore, 'assertRights' | 'inspectDurability'>
  /** REDIS_REQUIRE_DURABLE. */
  readonly requireDurable: boolean
  readonly log: Log
  readonly onDurability: (isDurable: boolean) => void
}

/**
 * Whether the run of Redis that the connection leads to may decide, whatever it holds: our rights are complete, and it keeps
 * what it acknowledges. Neither is replicated, so a replica that took over may differ from the one before, and both can
 * be changed while it runs.
 */
export class RunCheck {
  readonly #options: RunCheckOptions
  /** What was said of its durability: said once. */
  #said = ''

  constructor(options: RunCheckOptions) {
    this.#options = options
  }

  /** Two short questions and a call. @throws Fault HC_REDIS_REFUSED | HC_REDIS_UNSUITABLE when it may not; HC_REDIS_UNAVAILABLE */
  async assert(): Promise<void> {
    const { store, requireDurable, log, onDurability } = this.#options
    await store.assertRights()
    const { unsuitable, weak } = await store.inspectDurability()
    const sentences = [...unsuitable, ...weak]
    onDurability(sentences.length === 0)
    if (unsuitable.length > 0 && requireDurable) {
      const problems = unsuitable.join('; ')
      throw new Fault('HC_REDIS_UNSUITABLE', `${problems}. With REDIS_REQUIRE_DURABLE=false it is used nevertheless`)
    }
    const saying = sentences.join('; ')
    if (saying === this.#said) return
    this.#said = saying
    for (const sentence of sentences) log.warn(`Redis may lose what it acknowledged: ${sentence}`)
    if (saying === '') log.info('Redis keeps what it acknowledges again')
  }
}

import { Fault } from '../../core/faults.ts'
import type { ChildKind } from '../../core/ipc.ts'
import type { Changes } from './changes.ts'
import type { ChildPlaces } from './child-places.ts'
import type { Replacements } from './replacements.ts'

export interface ReadyWaitOptions {
  readonly places: ChildPlaces
  readonly replacements: Replacements
  /** Of both. */
  readonly changes: Changes
}

/** Waits until every child is ready, and says of those that are not why. */
export class ReadyWait {
  readonly #options: ReadyWaitOptions

  constructor(options: ReadyWaitOptions) {
    this.#options = options
  }

  /** @throws Fault HC_START_TIMEOUT; the signal's reason when it is aborted */
  async allReady(signal: AbortSignal, startMsMax: number): Promise<void> {
    const { changes } = this.#options
    // One of its own: an abort listener that two waits shared would be gone with the first of them.
    const changed = (): void => changes.happened()
    const timeout = AbortSignal.timeout(startMsMax)
    signal.addEventListener('abort', changed)
    timeout.addEventListener('abort', changed)
    try {
      await changes.until(() => signal.aborted || timeout.aborted || this.#notReady().length === 0)
    } finally {
      signal.removeEventListener('abort', changed)
      timeout.removeEventListener('abort', changed)
    }
    signal.throwIfAborted()
    const kinds = new Set(this.#notReady())
    if (kinds.size === 0) return
    const who = [...kinds].map((kind) => this.#describe(kind)).join(', ')
    throw new Fault('HC_START_TIMEOUT', `not ready after ${startMsMax} ms: ${who}`)
  }

  #notReady(): ChildKind[] {
    const { places, replacements } = this.#options
    return [...replacements.waitingKinds, ...places.in(['starting']).map(({ kind }) => kind)]
  }

  /** The kind, with why it is not ready as far as that is known. */
  #describe(kind: ChildKind): string {
    const { places, replacements } = this.#options
    const waits = new Set(places.in(['starting'], kind).map((child) => child.waitsFor))
    const whys = [...waits].flatMap((what) => (what === undefined ? [] : [`one waits for ${what}`]))
    const last = replacements.lastDeath(kind)
    if (last !== undefined) whys.push(`its last one ended: ${last.end}`)
    return whys.length === 0 ? kind : `${kind} (${whys.join('; ')})`
  }
}

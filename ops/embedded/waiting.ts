/** For whatever may have to wait: how to say so, and what ends it. */
export interface Waiting {
  /** Gets a sentence for people. */
  readonly say: (sentence: string) => void
  /** Aborted when nobody wants to wait any more: the wait rejects. */
  readonly signal: AbortSignal
}

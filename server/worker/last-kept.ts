/** The values that were kept last, at most so many. */
export class LastKept<Key, Value> {
  readonly #max: number
  /** In the order of insertion: the first one was kept the longest ago. */
  readonly #values = new Map<Key, Value>()

  constructor(max: number) {
    this.#max = max
  }

  get(key: Key): Value | undefined {
    return this.#values.get(key)
  }

  /** Makes it the last one, also when it was kept before. */
  keep(key: Key, value: Value): void {
    this.#values.delete(key)
    this.#values.set(key, value)
    const [oldest] = this.#values.keys()
    if (this.#values.size > this.#max && oldest !== undefined) this.#values.delete(oldest)
  }
}

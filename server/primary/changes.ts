/** Lets conditions be waited for that only change where somebody says so: nothing is polled. */
export class Changes {
  #whenChanged: (() => void)[] = []

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#whenChanged.push(resolve))
  }

  /** Everybody who waits looks again, after the caller's turn. */
  readonly happened = (): void => {
    for (const resolve of this.#whenChanged.splice(0)) resolve()
  }
}

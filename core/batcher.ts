import { BatchWriter, DecisionReader } from './decisions.ts'
import { asFault, Fault } from './faults.ts'

/**
 * A command on its way to Redis and back. Implemented by what waits for the answer, so that a command costs no
 * closure and no promise.
 */
export interface PendingCommand {
  readonly sale: number
  readonly index: string
  /** Checkout: the nonce to issue; purchase: the nonce of the code. */
  readonly nonce: string
  /** '' makes it a purchase. */
  readonly user: string
  /**
   * The cursor stands on this command's decision; valid only during the call. `logId`: the log entry that records it,
   * `n`: its place in that entry, from 0.
   */
  decided(decision: DecisionReader, logId: string, n: number): void
  /** No decision was taken, or its outcome is unknown. */
  failed(fault: Fault): void
}

export interface BatcherOptions {
  readonly decide: (batch: Buffer) => Promise<{ readonly results: Buffer; readonly id: string }>
  readonly intervalMs: number
  readonly batchCommandsMax: number
  readonly batchesInFlightMax: number
  /** While a call is out, another leaves only with so many commands. */
  readonly batchOverlapCommandsMin: number
  readonly commandsWaitingMax: number
  /** After every batch, with the number of its commands and the seconds that Redis took. */
  readonly onBatch: (commandCount: number, seconds: number) => void
}

/**
 * Gathers commands into batches at the seam of the event loop: what arrives in one turn goes to Redis as one call.
 * While calls are out the next batch keeps growing, so batches get larger exactly when Redis is the bottleneck, and
 * nothing ever waits on a timer.
 */
export class Batcher {
  readonly #options: BatcherOptions
  /** Waiting to be sent, oldest first. */
  #queue: PendingCommand[] = []
  #inFlightBatches = 0
  #inFlightCommands = 0
  #flushScheduled = false
  #whenIdle: (() => void)[] = []

  constructor(options: BatcherOptions) {
    this.#options = options
  }

  /** Commands accepted and not answered yet. */
  get waiting(): number {
    return this.#queue.length + this.#inFlightCommands
  }

  /** False, and nothing else happens, when too many commands wait already: the caller sheds the request. */
  offer(command: PendingCommand): boolean {
    if (this.waiting >= this.#options.commandsWaitingMax) return false
    this.#queue.push(command)
    this.#scheduleFlush()
    return true
  }

  /** Resolves when every accepted command has its answer. */
  async idle(): Promise<void> {
    while (this.waiting > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  #mayLeave(): boolean {
    if (this.#inFlightBatches === 0) return this.#queue.length > 0
    const { batchesInFlightMax, batchOverlapCommandsMin } = this.#options
    return this.#inFlightBatches < batchesInFlightMax && this.#queue.length >= batchOverlapCommandsMin
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || !this.#mayLeave()) return
    this.#flushScheduled = true
    // setImmediate runs after this turn's poll phase, so every request that the kernel delivered together joins one
    // call: tens of commands under load, at the price of well under a millisecond for a lone one.
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false
    while (this.#mayLeave()) {
      const max = this.#options.batchCommandsMax
      const batch = this.#queue.length <= max ? this.#queue : this.#queue.slice(0, max)
      this.#queue = batch === this.#queue ? [] : this.#queue.slice(max)
      void this.#send(batch)
    }
  }

  /** Settles every command of the batch exactly once; never rejects for a fault of Redis. */
  async #send(batch: readonly PendingCommand[]): Promise<void> {
    const writer = new BatchWriter(this.#options.intervalMs)
    for (const command of batch) writer.add(command.sale, command.index, command.nonce, command.user)
    this.#inFlightBatches += 1
    this.#inFlightCommands += batch.length
    const startedMs = performance.now()
    let reply: Awaited<ReturnType<BatcherOptions['decide']>> | Fault
    try {
      reply = await this.#options.decide(writer.encode())
    } catch (error) {
      reply = asFault(error, 'HC_REDIS_UNAVAILABLE')
    }
    this.#options.onBatch(batch.length, (performance.now() - startedMs) / 1_000)
    this.#inFlightBatches -= 1
    this.#inFlightCommands -= batch.length
    // The next batch leaves before this one's replies are written: Redis works while this process writes sockets.
    if (this.#queue.length > 0) this.#flush()

    if (reply instanceof Fault) for (const command of batch) command.failed(reply)
    else this.#settle(batch, reply)
    if (this.waiting === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  #settle(batch: readonly PendingCommand[], reply: { readonly results: Buffer; readonly id: string }): void {
    const decision = new DecisionReader(reply.results)
    for (let n = 0; n < batch.length; n++) {
      if (!decision.next()) throw new Error(`Redis decided fewer than the ${batch.length} commands of a batch`)
      ;(batch[n] as PendingCommand).decided(decision, reply.id, n)
    }
  }
}

import assert from 'node:assert/strict'

import { BatchWriter, DecisionReader, type EncodedBatch } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import type { RequestTrace } from '../tracing/request-trace.ts'
import { type ArrangedBatch, inRuns } from './batch-runs.ts'
import { QueueBound } from './queue-bound.ts'
import type { SoldItems } from './sold-items.ts'

/**
 * A command on its way to Redis and back. Implemented by what waits for the answer, so that a command costs no
 * closure and no promise.
 */
export interface PendingCommand {
  readonly sale: number
  readonly index: string
  /** Checkout: the nonce to issue; purchase and release: the nonce of the code, and what goes behind it. */
  readonly nonce: string
  /** '' makes it a purchase or a release. */
  readonly user: string
  /** When its deadline begins, on the batcher's clock: see Exchange.admittedMs. */
  readonly arrivedMs: number
  /** Of a sampled request. */
  readonly trace?: RequestTrace | undefined
  /**
   * The cursor stands on the reply to this command; valid only during the call. Where it `isPlaced`, `logId` is the log entry
   * that records it and `n` its place in that entry, from 0.
   */
  decided(decision: DecisionReader, logId: string, n: number): void
  /** No decision was taken, or its outcome is unknown; HC_REPLICA_LATE: it was, and it is not known whether it will last. */
  failed(fault: Fault): void
  /** Its deadline passed while it waited, and it was not sent: there is no decision and will be none. */
  late(): void
}

/** The answer to a batch. */
export interface BatchReply {
  readonly results: Buffer
  readonly id: string
  /** Where its commands are told only after this: of a fault, if there was one. It never rejects. */
  readonly confirmed?: Promise<Fault | undefined>
}

/** A batch whose commands are about to be told. */
export interface AnsweredBatch {
  readonly commands: readonly PendingCommand[]
  readonly reply: BatchReply | Fault
  readonly sentMs: number
  readonly answeredMs: number
}

export interface BatcherOptions {
  readonly decide: (batch: EncodedBatch) => Promise<BatchReply>
  /** Learns from the decisions. */
  readonly sold: SoldItems
  readonly intervalMs: number
  readonly batchCommandsMax: number
  readonly batchesInFlightMax: number
  /** While a call is out, another leaves only with so many commands. */
  readonly batchOverlapCommandsMin: number
  /** So many may wait however slow Redis is, and never more than the second. */
  readonly commandsWaitingMin: number
  readonly commandsWaitingMax: number
  /** From its `arrivedMs` on a command is sent within this time, or not at all. */
  readonly deadlineMs: number
  /** A monotonic clock in ms, read a few times a batch. */
  readonly now: () => number
  /** After every batch, with the number of its commands and the seconds that Redis took. */
  readonly onBatch: (commandCount: number, seconds: number) => void
  /** Before the commands of a batch are told. */
  readonly onAnswered?: ((batch: AnsweredBatch) => void) | undefined
}

/**
 * Gathers commands into batches at the seam of the event loop: what arrives in one turn goes to Redis as one call.
 * While calls are out the next batch keeps growing, so batches get larger exactly when Redis is the bottleneck, and
 * nothing that will be sent ever waits on a timer.
 */
export class Batcher {
  readonly #options: BatcherOptions
  /** Waiting to be sent, oldest first. */
  #queue: PendingCommand[] = []
  /** Of all calls that are out: 0 exactly when none is. */
  #inFlightCommands = 0
  /** Decided, and not told yet: see BatchReply.confirmed. */
  #unconfirmedCommands = 0
  /** When each call that is out was sent. Redis answers them in this order. */
  readonly #sentMs: number[] = []
  #oldestSentMs = Number.POSITIVE_INFINITY
  #lastAnswerMs = 0
  #flushScheduled = false
  #lateTimer: NodeJS.Timeout | undefined
  #whenIdle: (() => void)[] = []
  readonly #bound: QueueBound
  /**
   * Half the deadline. The other half is for the wait that nobody sees: what comes in while this process is busy stays in
   * the kernel's buffers until it has come to it.
   */
  readonly #waitMsMax: number

  constructor(options: BatcherOptions) {
    const { commandsWaitingMin: least, commandsWaitingMax: most } = options
    this.#options = options
    this.#waitMsMax = options.deadlineMs / 2
    this.#bound = new QueueBound({ waitMs: this.#waitMsMax, least, most })
  }

  /** Commands accepted and not answered yet. */
  get waiting(): number {
    return this.#queue.length + this.#inFlightCommands + this.#unconfirmedCommands
  }

  /**
   * Whether a command that comes now can expect its answer before its deadline. Not when too many wait already, and not
   * when Redis has been silent for so long that nobody knows when it will answer.
   */
  hasRoom(nowMs: number): boolean {
    return this.waiting < this.#bound.commands && nowMs - this.#oldestSentMs <= this.#waitMsMax
  }

  /** Takes it in any case: who must not grow the queue asks `hasRoom` first. */
  offer(command: PendingCommand): void {
    this.#queue.push(command)
    // A turn that brings thousands of requests is long: Redis need not wait for its end.
    if (this.#queue.length === this.#options.batchCommandsMax) this.#flush()
    else this.#scheduleFlush()
    if (this.#lateTimer === undefined) this.#watchLate(command.arrivedMs)
  }

  /** The same for one that came earlier than it is offered: it stands where its arrival puts it, so its deadline holds. */
  offerAgain(command: PendingCommand): void {
    const younger = this.#queue.findIndex(({ arrivedMs }) => arrivedMs > command.arrivedMs)
    const at = younger < 0 ? this.#queue.length : younger
    this.#queue.splice(at, 0, command)
    if (this.#queue.length === this.#options.batchCommandsMax) this.#flush()
    else this.#scheduleFlush()
    if (at > 0 && this.#lateTimer !== undefined) return
    clearTimeout(this.#lateTimer)
    this.#lateTimer = undefined
    this.#watchLate(this.#options.now())
  }

  /** Resolves when every accepted command has its answer. */
  async idle(): Promise<void> {
    while (this.waiting > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  #mayLeave(): boolean {
    const inFlightBatches = this.#sentMs.length
    if (inFlightBatches === 0) return this.#queue.length > 0
    const { batchesInFlightMax, batchOverlapCommandsMin } = this.#options
    return inFlightBatches < batchesInFlightMax && this.#queue.length >= batchOverlapCommandsMin
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
    if (!this.#mayLeave()) return
    const nowMs = this.#options.now()
    this.#dropLate(nowMs)
    while (this.#mayLeave()) void this.#send(this.#takeQueued(this.#options.batchCommandsMax), nowMs)
  }

  /** The oldest so many. */
  #takeQueued(max: number): readonly PendingCommand[] {
    const queue = this.#queue
    const taken = queue.length <= max ? queue : queue.slice(0, max)
    this.#queue = taken === queue ? [] : queue.slice(max)
    return taken
  }

  #dropLate(nowMs: number): void {
    const queue = this.#queue
    const arrivedMsMin = nowMs - this.#options.deadlineMs
    let count = 0
    while (count < queue.length && (queue[count] as PendingCommand).arrivedMs < arrivedMsMin) count += 1
    if (count === 0) return
    for (const command of this.#takeQueued(count)) command.late()
    this.#resolveIdle()
  }

  /**
   * While Redis is silent no batch is formed, and the clients of those that wait shall know in time nevertheless. One
   * timer a deadline, however many commands come and go meanwhile.
   */
  #watchLate(nowMs: number): void {
    const oldest = this.#queue[0]
    if (oldest === undefined) return
    const ms = oldest.arrivedMs + this.#options.deadlineMs - nowMs
    this.#lateTimer = setTimeout(this.#lateness, Math.max(0, ms) + 1).unref()
  }

  readonly #lateness = (): void => {
    this.#lateTimer = undefined
    const nowMs = this.#options.now()
    this.#dropLate(nowMs)
    this.#watchLate(nowMs)
  }

  /** Settles every command of the batch exactly once. Rejects with what is a bug, which ends the process. */
  async #send(batch: readonly PendingCommand[], sentMs: number): Promise<void> {
    const arranged = inRuns(batch, this.#options.sold)
    const encoded = this.#encode(arranged)
    this.#sentMs.push(sentMs)
    this.#oldestSentMs = this.#sentMs[0] as number
    this.#inFlightCommands += batch.length
    let reply: BatchReply | Fault
    try {
      reply = await this.#options.decide(encoded)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      reply = error
    }
    const nowMs = this.#options.now()
    this.#options.onBatch(batch.length, (nowMs - sentMs) / 1_000)
    this.#sentMs.shift()
    this.#oldestSentMs = this.#sentMs[0] ?? Number.POSITIVE_INFINITY
    this.#inFlightCommands -= batch.length
    assert(
      this.#inFlightCommands >= 0 && (this.#inFlightCommands === 0) === (this.#sentMs.length === 0),
      'calls and their commands end together',
    )
    // A small batch says little of what a command costs in a large one.
    if (!(reply instanceof Fault) && batch.length >= this.#options.batchOverlapCommandsMin)
      this.#bound.observe(batch.length, { ms: nowMs - Math.max(sentMs, this.#lastAnswerMs), callMs: nowMs - sentMs })
    this.#lastAnswerMs = nowMs
    // The next batch leaves before this one's replies are written: Redis works while this process writes sockets.
    if (this.#queue.length > 0) this.#flush()

    if (!(reply instanceof Fault) && reply.confirmed !== undefined) {
      this.#unconfirmedCommands += batch.length
      reply = (await reply.confirmed) ?? reply
      this.#unconfirmedCommands -= batch.length
    }
    this.#options.onAnswered?.({ commands: arranged.commands, reply, sentMs, answeredMs: nowMs })
    if (reply instanceof Fault) for (const command of batch) command.failed(reply)
    else this.#settle(arranged, reply)
    this.#resolveIdle()
  }

  #resolveIdle(): void {
    if (this.waiting === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  #encode({ commands, soldFrom }: ArrangedBatch): EncodedBatch {
    const { intervalMs, sold } = this.#options
    const writer = new BatchWriter(intervalMs, sold.epoch)
    // By number: an iterator of entries costs an array for each command.
    for (let at = 0; at < commands.length; at++) {
      const { sale, index, nonce, user } = commands[at] as PendingCommand
      if (at < soldFrom) writer.add(sale, index, nonce, user)
      else writer.addSold(sale, index, nonce, user)
    }
    return writer.encode()
  }

  #settle({ commands, soldFrom }: ArrangedBatch, reply: BatchReply): void {
    const { sold } = this.#options
    const decision = new DecisionReader(reply.results)
    if (reply.id !== '') sold.decidedIn(reply.id)
    let n = 0
    for (let at = 0; at < commands.length; at++) {
      const command = commands[at] as PendingCommand
      if (!decision.next()) assert.fail(`Redis decided fewer than the ${commands.length} commands of a batch`)
      // Before the command is told, which moves on to whatever it does next.
      const place = n
      if (decision.isPlaced) n += 1
      if (at < soldFrom && decision.isOfSoldItem) sold.learn(command.sale, command.index)
      command.decided(decision, reply.id, place)
    }
  }
}

import assert from 'node:assert/strict'
import type { Command, Redis } from 'ioredis'
import { encodeCommand, pairAt, replyEnd } from './wire.ts'

/** What of ioredis' connection no type shows. */
interface Insides {
  readonly commandQueue: {
    readonly length: number
    peekFront(): { readonly command: unknown } | undefined
    shift(): unknown
  }
}

type Listener = (chunk: Buffer) => void

/**
 * Calls on a connection of ioredis' that go past its command objects and its decoder, beside its other commands and in their
 * order. Those take some 25 us of CPU a call once V8 has compiled them, and several times that where they run some hundred times a
 * second between other work (bench/micro, direct-calls). A call is encoded here in one piece, and an answer of two texts
 * is read here. The connection stays ioredis': who connects, signs in, queues, gives up and looks for another master is the
 * same as for any command, and an answer of any other form is left to it.
 */
export class DirectCalls {
  readonly #redis: Redis
  readonly #queue: () => Insides['commandQueue']
  #stream: Redis['stream'] | undefined
  /** ioredis' own. */
  #decode: Listener = () => undefined
  /** Its decoder has the beginning of an answer. */
  #isInTheMidst = false
  readonly #lateness = new Lateness()

  constructor(redis: Redis) {
    this.#redis = redis
    this.#queue = () => (redis as unknown as Insides).commandQueue
  }

  /** The answer, texts as Buffers. Rejects as any command of this connection does. */
  call(parts: readonly (string | number | Buffer)[]): Promise<unknown> {
    const redis = this.#redis
    if (redis.status === 'ready' && redis.stream !== this.#stream) this.#listen(redis.stream)
    const call = new DirectCall(encodeCommand(parts), this.#lateness)
    void redis.sendCommand(call as unknown as Command)
    return call.promise
  }

  /** Puts itself before ioredis' decoder, once a connection. */
  #listen(stream: Redis['stream']): void {
    const [decode, ...others] = stream.listeners('data') as Listener[]
    assert(decode !== undefined && others.length === 0, 'this ioredis is another one than this was made for')
    stream.off('data', decode)
    stream.on('data', this.#received)
    this.#decode = decode
    this.#stream = stream
    this.#isInTheMidst = this.#queue().length > 0
  }

  readonly #received = (chunk: Buffer): void => {
    let at = 0
    while (!this.#isInTheMidst && at < chunk.length) {
      const end = replyEnd(chunk, at)
      if (end < 0) break
      if (!this.#answer(chunk, at, end)) this.#decode(chunk.subarray(at, end))
      at = end
    }
    if (at === chunk.length) return
    this.#decode(at === 0 ? chunk : chunk.subarray(at))
    // Answers only come to commands: with none in the queue the last one that came was whole.
    this.#isInTheMidst = this.#queue().length > 0
  }

  #answer(chunk: Buffer, at: number, end: number): boolean {
    const call = this.#queue().peekFront()?.command
    const pair = call instanceof DirectCall ? pairAt(chunk, at, end) : undefined
    if (pair === undefined) return false
    this.#queue().shift()
    ;(call as DirectCall).resolve(pair)
    return true
  }
}

/** Which calls aren't answered in time. One timer for all of them: one a call would be made and cleared for nothing. */
class Lateness {
  /** Sent and not answered, the oldest first. */
  #calls: DirectCall[] = []
  #timer: NodeJS.Timeout | undefined

  watch(call: DirectCall, ms: number): void {
    this.#calls.push(call)
    if (this.#timer === undefined) this.#lookIn(ms, ms)
  }

  /** They end in their order, but when all do at once. */
  ended(call: DirectCall): void {
    if (this.#calls[0] === call) this.#calls.shift()
    else this.#calls = this.#calls.filter((other) => other !== call)
  }

  readonly #look = (ms: number): void => {
    const nowMs = performance.now()
    const overdue = this.#calls.filter(({ sentMs }) => nowMs - sentMs >= ms)
    for (const call of overdue) call.reject(new Error('Command timed out'))
    const oldest = this.#calls[0]
    this.#timer = undefined
    if (oldest !== undefined) this.#lookIn(oldest.sentMs + ms - nowMs, ms)
  }

  /** What has come by then is read first (core/time-limit.ts). */
  #lookIn(waitMs: number, ms: number): void {
    this.#timer = setTimeout(() => setImmediate(this.#look, ms), waitMs).unref()
  }
}

/** What ioredis wants of a command that is sent, queued and settled. */
class DirectCall {
  readonly name = 'fcall'
  /** Goes into its errors, which nobody keeps. */
  readonly args: readonly string[] = []
  readonly inTransaction = false
  readonly pipelineIndex = undefined
  readonly promise: Promise<unknown>
  readonly sentMs = performance.now()
  isResolved = false
  readonly #encoded: Buffer
  readonly #lateness: Lateness
  #resolve: (reply: unknown) => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor(encoded: Buffer, lateness: Lateness) {
    this.#encoded = encoded
    this.#lateness = lateness
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  readonly resolve = (reply: unknown): void => {
    this.#lateness.ended(this)
    this.isResolved = true
    this.#resolve(reply)
  }

  readonly reject = (error: Error): void => {
    this.#lateness.ended(this)
    this.#reject(error)
  }

  toWritable(): Buffer {
    return this.#encoded
  }

  /** When it is over its place in the queue stays: the answer may still come. */
  setTimeout(ms: number): void {
    this.#lateness.watch(this, ms)
  }

  setReplyContext(): void {
    // The answer is left as it came.
  }

  extractBlockingTimeout(): undefined {
    return undefined
  }
}

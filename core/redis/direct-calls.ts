import assert from 'node:assert/strict'
import type { Command, Redis } from 'ioredis'
import { ReplyScanner } from './reply-scanner.ts'
import { encodeCommand, pairAt } from './wire.ts'

/** What of ioredis' connection no type shows. */
interface Insides {
  readonly commandQueue: {
    peekFront(): { readonly command: unknown } | undefined
    shift(): unknown
  }
}

type Queue = Insides['commandQueue']
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
  /** Of the connection whose answers are read here. */
  #stream: Redis['stream'] | undefined
  readonly #lateness = new Lateness()

  /** @param redis has not begun to connect: what its decoder was given before would not be known */
  constructor(redis: Redis) {
    assert(redis.status === 'wait', 'the connection was begun before its direct calls')
    this.#redis = redis
    // ioredis' decoder is there by then, and nothing has been read.
    redis.on('connect', () => this.#listen(redis.stream))
  }

  /** The answer, texts as Buffers. Rejects as any command of this connection does. */
  call(parts: readonly (string | number | Buffer)[]): Promise<unknown> {
    const redis = this.#redis
    if (redis.status === 'ready')
      assert(redis.stream === this.#stream, 'this ioredis is another one than this was made for')
    const call = new DirectCall(encodeCommand(parts), this.#lateness)
    void redis.sendCommand(call as unknown as Command)
    return call.promise
  }

  /** Puts itself before ioredis' decoder, once a connection. */
  #listen(stream: Redis['stream']): void {
    const [decode, ...others] = stream.listeners('data') as Listener[]
    if (decode === undefined || others.length > 0) return
    const answers = new Answers(() => (this.#redis as unknown as Insides).commandQueue, decode)
    stream.off('data', decode)
    stream.on('data', answers.received)
    this.#stream = stream
  }
}

/**
 * The answers of one connection, from its first on. Each is that of the queue's front when it begins. A call's is gathered until
 * it is whole; what belongs to a command of ioredis' goes to its decoder as it comes. So that never has the beginning of a
 * call's answer, and an answer that came in pieces costs the ones after it nothing.
 */
class Answers {
  readonly #queue: () => Queue
  /** ioredis' own. */
  readonly #decode: Listener
  readonly #scanner = new ReplyScanner()
  /** The answer that has begun is a call's. */
  #isOfCall = false
  /** What has come of it. They are joined once: a large answer may come in thousands. Redis says how long it gets. */
  #pieces: Buffer[] = []

  constructor(queue: () => Queue, decode: Listener) {
    this.#queue = queue
    this.#decode = decode
  }

  readonly received = (chunk: Buffer): void => {
    const scanner = this.#scanner
    for (let at = 0; at < chunk.length; ) {
      // The answer before has been taken from the queue: its end was handed on.
      if (scanner.isBetween) this.#isOfCall = this.#queue().peekFront()?.command instanceof DirectCall
      const end = scanner.isLost ? -1 : scanner.endIn(chunk, at)
      if (end < 0) {
        this.#begun(at === 0 ? chunk : chunk.subarray(at))
        return
      }
      if (!this.#isOfCall) this.#decode(chunk.subarray(at, end))
      else if (this.#pieces.length === 0) this.#answer(chunk, at, end)
      else this.#answerJoined(chunk.subarray(at, end))
      at = end
    }
  }

  /** What is no answer of Redis' ioredis gives up as always. */
  #begun(piece: Buffer): void {
    if (this.#isOfCall) this.#pieces.push(piece)
    else this.#decode(piece)
    if (!this.#isOfCall || !this.#scanner.isLost) return
    this.#isOfCall = false
    this.#decode(this.#joined())
  }

  #answerJoined(last: Buffer): void {
    this.#pieces.push(last)
    const whole = this.#joined()
    this.#answer(whole, 0, whole.length)
  }

  #joined(): Buffer {
    const whole = Buffer.concat(this.#pieces)
    this.#pieces = []
    return whole
  }

  /** An answer of another form, and one to nobody, is ioredis' own affair. */
  #answer(chunk: Buffer, at: number, end: number): void {
    const call = this.#queue().peekFront()?.command
    const pair = call instanceof DirectCall ? pairAt(chunk, at, end) : undefined
    if (pair === undefined) {
      this.#decode(chunk.subarray(at, end))
      return
    }
    this.#queue().shift()
    ;(call as DirectCall).resolve(pair)
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

import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { firstMessage, loadedMsMax } from '../harness/first-message.ts'
import { compiled } from '../harness/server-under-test.ts'
import { Generator } from '../overload/generator.ts'
import type { Opening } from '../overload/generator-process.ts'
import type { Called, CallerOrder } from './caller-process.ts'
import { Wrk, type WrkOrder } from './wrk.ts'

/** What the clients of a flood were given. */
export interface FloodResult {
  readonly seconds: number
  /** New ones that came about, as far as the clients know. */
  readonly connections: number
  readonly answers: number
  /** Answers that were no 200. */
  readonly refused: number
  /** From when a request was sent; `undefined`: none is. */
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** Of its process. */
  readonly cpuSeconds: number
}

/** Clients beside the good buyers, in a process of their own. */
export interface Flood {
  /** Ends by itself, after its time. */
  start(): void
  readonly pid: number
  /** When it has ended. */
  result(): Promise<FloodResult>
  stop(): void
}

/** They connect for each request, and come again at once. */
export class ConnectingFlood implements Flood {
  readonly #order: WrkOrder
  #wrk: Wrk | undefined

  constructor(order: WrkOrder) {
    this.#order = order
  }

  get pid(): number {
    return this.#wrk?.pid ?? 0
  }

  start(): void {
    this.#wrk = new Wrk(this.#order)
  }

  async result(): Promise<FloodResult> {
    if (this.#wrk === undefined) throw new Error('the flood was not started')
    const result = await this.#wrk.result()
    return { ...result, connections: result.answers }
  }

  stop(): void {
    this.#wrk?.stop()
  }
}

/** They keep their connections, and send on schedule. */
export class KeptFlood implements Flood {
  readonly #generator: Generator
  readonly #phase: { readonly seconds: number; readonly rate: number; readonly connections: number }
  #ran: ReturnType<Generator['run']> | undefined

  static async open(opening: Opening, load: { seconds: number; rate: number }): Promise<KeptFlood> {
    const generator = await Generator.start()
    generator.open(opening)
    return new KeptFlood(generator, { ...load, connections: opening.connections })
  }

  private constructor(generator: Generator, phase: { seconds: number; rate: number; connections: number }) {
    this.#generator = generator
    this.#phase = phase
  }

  get pid(): number {
    return this.#generator.pid
  }

  start(): void {
    this.#ran = this.#generator.run([{ name: 'flood', ...this.#phase }], () => undefined)
    this.#ran.catch(() => undefined) // whoever asks for the result hears of it
  }

  async result(): Promise<FloodResult> {
    const [flood] = (await this.#ran)?.results ?? []
    if (flood === undefined) throw new Error('the flood was not started')
    const { seconds, accepted, shed, other, acceptedFromSent, generatorCpuSeconds: cpuSeconds } = flood
    const [p50Ms, p99Ms] = [acceptedFromSent.p50Us / 1_000, acceptedFromSent.p99Us / 1_000]
    return {
      seconds,
      connections: 0,
      answers: accepted + shed + other,
      refused: shed + other,
      p50Ms,
      p99Ms,
      cpuSeconds,
    }
  }

  stop(): void {
    this.#generator.stop()
  }
}

/** They connect, and close at once. */
export class CallingFlood implements Flood {
  readonly #child: ChildProcess
  readonly #order: CallerOrder
  readonly #seconds: number
  #called: Promise<Called> | undefined

  static async open(order: CallerOrder, seconds: number): Promise<CallingFlood> {
    const child = fork(compiled('../connections/caller-process.js'), { execArgv: [] })
    await firstMessage(child, loadedMsMax)
    return new CallingFlood(child, order, seconds)
  }

  private constructor(child: ChildProcess, order: CallerOrder, seconds: number) {
    this.#child = child
    this.#order = order
    this.#seconds = seconds
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  start(): void {
    this.#child.send(this.#order)
    this.#called = delay(this.#seconds * 1_000).then(async () => {
      const said = firstMessage<Called>(this.#child)
      this.#child.send('stop')
      return await said
    })
    this.#called.catch(() => undefined) // whoever asks for the result hears of it
  }

  async result(): Promise<FloodResult> {
    const { connections = 0, cpuSeconds = 0 } = (await this.#called) ?? {}
    return { seconds: this.#seconds, connections, answers: 0, refused: 0, cpuSeconds }
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

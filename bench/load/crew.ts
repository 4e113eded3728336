import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { firstMessage, loadedMsMax } from '../harness/first-message.ts'
import { compiled } from '../harness/server-under-test.ts'
import { type LatencySummary, mergeHistograms, summarize } from '../report/latencies.ts'
import type { LoadOperation } from '../report/load-operation.ts'
import type { Reading, Viewing } from '../report/report.ts'
import { Companion } from './companion.ts'
import type { Done, FromGenerator, Second, ToGenerator } from './generator-process.ts'
import type { Settings } from './settings.ts'
import type { Sale } from './shop.ts'

/** From the order to the first request. */
const orderMs = 50
/** Beyond its time and its patience a generator gets so long before it counts as hung. */
const hangMs = 15_000

export interface CrewOptions {
  readonly settings: Settings
  readonly url: string
  readonly sale: Sale
  readonly onSecond: (second: Second) => void
}

export interface Latencies {
  /** From when a request was due (open loop) or sent (closed loop). */
  readonly latency: Readonly<Record<LoadOperation, LatencySummary>>
  /** From when it was sent. */
  readonly uncorrected: Readonly<Record<LoadOperation, LatencySummary>>
}

export interface CrewResult extends Latencies {
  /** Of each generator, of the readers and of the viewers. */
  readonly cpuSeconds: readonly number[]
  readonly peakBytes: number
  readonly neverSent: number
  readonly usedUpSecond: number | undefined
  readonly lastPurchase: Done['lastPurchase']
  /** What went on beside the buying. */
  readonly besides: { readonly reading?: Reading; readonly viewing?: Viewing }
}

interface Companions {
  readonly readers: Companion<Reading> | undefined
  readonly viewers: Companion<Viewing> | undefined
}

/** The generator processes of one run, and those that read and look beside them. */
export class Crew {
  /** On the system's monotonic clock. */
  readonly startMs: number
  readonly endMs: number
  readonly #children: readonly ChildProcess[]
  readonly #done: Promise<Done>[]
  readonly #companions: Companions

  /** @throws when a generator does not come to life */
  static async start(options: CrewOptions): Promise<Crew> {
    const children = Array.from({ length: options.settings.generators }, () =>
      fork(compiled('../load/generator-process.js'), { execArgv: [] }),
    )
    const companions: { -readonly [Name in keyof Companions]: Companions[Name] } = {
      readers: undefined,
      viewers: undefined,
    }
    try {
      await Promise.all(children.map((child) => firstMessage(child, loadedMsMax)))
      const { reads, viewers } = options.settings
      if (reads > 0) companions.readers = await Companion.start<Reading>('reader')
      if (viewers > 0) companions.viewers = await Companion.start<Viewing>('viewer')
      return new Crew(children, companions, options)
    } catch (cause) {
      for (const child of children) child.kill('SIGKILL')
      companions.readers?.kill()
      companions.viewers?.kill()
      throw new Error('a generator did not start', { cause })
    }
  }

  private constructor(children: readonly ChildProcess[], companions: Companions, options: CrewOptions) {
    const { settings, url, sale, onSecond } = options
    this.startMs = monotonicMs() + orderMs + settings.warmup * 1_000
    this.endMs = this.startMs + settings.seconds * 1_000
    this.#children = children
    this.#companions = companions
    this.#done = children.map((child) => whenDone(child, onSecond))
    const { startMs, endMs } = this
    for (const companion of this.#besides) companion.begin({ settings, url, sale, startMs, endMs })
    for (const [generator, child] of children.entries())
      tell(child, { type: 'order', order: { settings, url, sale, generator, startMs, endMs } })
  }

  get #besides(): Companion<unknown>[] {
    return Object.values(this.#companions).filter((companion) => companion !== undefined)
  }

  openSale(sale: Sale): void {
    for (const child of this.#children) tell(child, { type: 'sale', sale })
  }

  /** Ends the load now; what was counted so far is the result. */
  stop(): void {
    for (const child of this.#children) tell(child, { type: 'stop' })
    for (const companion of this.#besides) companion.stop()
  }

  kill(): void {
    for (const companion of this.#besides) companion.kill()
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** @throws when a generator ended before its end, or hangs */
  async result(patienceMs: number): Promise<CrewResult> {
    const hung = new AbortController()
    const deadline = async (): Promise<never> => {
      await delay(Math.max(0, this.endMs - monotonicMs()) + patienceMs + hangMs, undefined, { signal: hung.signal })
      throw new Error('a generator did not come to its end')
    }
    try {
      const { readers, viewers } = this.#companions
      const all = Promise.all([Promise.all(this.#done), readers?.result(), viewers?.result()])
      const [done, reading, viewing] = await Promise.race([all, deadline()])
      return merge(done, { ...(reading && { reading }), ...(viewing && { viewing }) })
    } finally {
      hung.abort()
      this.kill()
    }
  }
}

/** The system's monotonic clock, which all processes share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

function tell(child: ChildProcess, message: ToGenerator): void {
  if (child.connected) child.send(message, () => undefined) // one that has just ended is found out by `whenDone`
}

function whenDone(child: ChildProcess, onSecond: (second: Second) => void): Promise<Done> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: FromGenerator) => {
      if (message.type === 'second') onSecond(message)
      else if (message.type === 'done') resolve(message)
    })
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      reject(new Error(`a generator ended before its time (${signal ?? `exit status ${code}`})`)),
    )
  })
}

function merge(all: readonly Done[], besides: CrewResult['besides']): CrewResult {
  const merged = (of: 'latencies' | 'uncorrected') => {
    const operation = (name: LoadOperation) => summarize(mergeHistograms(all.map((done) => done[of][name])))
    return { checkout: operation('checkout'), purchase: operation('purchase') }
  }
  const total = (of: 'neverSent' | 'peakBytes') => all.reduce((sum, done) => sum + done[of], 0)
  return {
    latency: merged('latencies'),
    uncorrected: merged('uncorrected'),
    cpuSeconds: [...all, ...Object.values(besides)].map(({ cpuSeconds }) => cpuSeconds),
    besides,
    peakBytes: total('peakBytes'),
    neverSent: total('neverSent'),
    usedUpSecond: least(all.flatMap(({ usedUpSecond }) => usedUpSecond ?? [])),
    lastPurchase: lastOf(all.flatMap(({ lastPurchase }) => lastPurchase ?? [])),
  }
}

function least(numbers: readonly number[]): number | undefined {
  return numbers.length === 0 ? undefined : Math.min(...numbers)
}

/** The answers of all until then are the sum of what each had by its own last one: a little too few. */
function lastOf(purchases: readonly NonNullable<Done['lastPurchase']>[]): Done['lastPurchase'] {
  if (purchases.length === 0) return undefined
  return {
    second: Math.max(...purchases.map(({ second }) => second)),
    answers: purchases.reduce((sum, { answers }) => sum + answers, 0),
  }
}

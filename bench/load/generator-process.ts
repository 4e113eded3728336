// A generator: one process that loads the server over its share of the connections. Its order comes as the first
// message; what it counts goes back every second, and at the end the whole.

import { setTimeout as delay } from 'node:timers/promises'
import autocannon from 'autocannon'
import { SeededRandom } from '../harness/seeded-random.ts'
import { encodeHistogram } from '../report/latencies.ts'
import type { LoadOperation } from '../report/load-operation.ts'
import type { Tally } from '../report/tally.ts'
import { attach, type Wire } from './autocannon-wire.ts'
import { Buyer } from './buyer.ts'
import { type ErrorSample, Recorder } from './recorder.ts'
import { AsAnswersCome, FixedRate, type Schedule, type Sender } from './schedule.ts'
import type { Settings } from './settings.ts'
import { type Sale, Shop } from './shop.ts'

export interface Order {
  readonly settings: Settings
  readonly url: string
  readonly sale: Sale
  /** Its number, from 0. */
  readonly generator: number
  /** The measurement's start and end on the system's monotonic clock, which all processes share. */
  readonly startMs: number
  readonly endMs: number
}

export type ToGenerator =
  | { readonly type: 'order'; readonly order: Order }
  | { readonly type: 'sale'; readonly sale: Sale }
  | { readonly type: 'stop' }

export interface Second {
  readonly type: 'second'
  /** From 0; negative in the warm-up; `tail`: after the end, of requests that were sent before it. */
  readonly second: number | 'tail'
  readonly tally: Tally
  readonly latency: string
  readonly samples: readonly ErrorSample[]
}

export interface Done {
  readonly type: 'done'
  readonly latencies: Readonly<Record<LoadOperation, string>>
  readonly uncorrected: Readonly<Record<LoadOperation, string>>
  /** Since the measurement's start. */
  readonly cpuSeconds: number
  readonly peakBytes: number
  /** Requests of the open loop that were due before the end and never sent. */
  readonly neverSent: number
  /** When its share of the fresh items was used up, and when it last purchased, since the measurement's start. */
  readonly usedUpSecond: number | undefined
  readonly lastPurchase: { readonly second: number; readonly answers: number } | undefined
}

export type FromGenerator = { readonly type: 'ready' } | Second | Done

/** autocannon looks this often whether it is to stop. */
const sampleMs = 50
/** autocannon's own end never comes: the schedule decides. */
const foreverSeconds = 2_000_000
/** A timer may fire so much too early: the second it was set for has passed all the same. */
const earlyMs = 1
/** After the end, on top of the patience for one answer. */
const tailSlackMs = 1_000

/** The system's monotonic clock, from performance.now()'s. */
const clockOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now()

class Generator {
  readonly #order: Order
  readonly #recorder = new Recorder()
  readonly #shop: Shop
  readonly #startMs: number
  /** When the load begins: the warm-up, if there is one. */
  readonly #loadMs: number
  readonly #schedule: Schedule & { readonly overdue?: number }
  #awaiting = 0
  #connections = 0
  #second: number
  #endMs: number
  #cpuBefore = process.cpuUsage()
  #isClosed = false
  #neverSent = 0
  #whenQuiet: (() => void) | undefined

  constructor(order: Order) {
    this.#order = order
    const { settings, sale, generator } = order
    this.#startMs = order.startMs - clockOffsetMs
    this.#endMs = order.endMs - clockOffsetMs
    this.#second = -settings.warmup
    this.#shop = new Shop({ ...settings, sale, generator })
    this.#loadMs = this.#startMs - settings.warmup * 1_000
    this.#schedule =
      settings.rate === 0
        ? new AsAnswersCome()
        : new FixedRate(
            settings.rate / settings.generators,
            this.#loadMs + (1_000 * generator) / settings.rate,
            this.#endMs,
          )
  }

  openSale(sale: Sale): void {
    this.#shop.open(sale)
  }

  stop(): void {
    this.#endMs = Math.min(this.#endMs, performance.now())
    this.#secondPassed()
  }

  async run(): Promise<Done> {
    const { settings, url, generator } = this.#order
    const options: autocannon.Options = {
      url,
      connections: shareOf(settings.connections, generator, settings.generators),
      duration: foreverSeconds,
      timeout: settings.timeout,
      sampleInt: sampleMs,
      setupClient: (client) => this.#connect(client),
    }
    await delay(Math.max(0, Math.ceil(this.#loadMs - performance.now()) + earlyMs))
    let whenEnded: () => void
    const ended = new Promise<void>((resolve) => {
      whenEnded = resolve
    })
    const load = autocannon(options, () => whenEnded())
    this.#arm()
    await new Promise<void>((resolve) => {
      this.#whenQuiet = resolve
      this.#checkQuiet()
    })
    this.#report('tail')
    load.stop()
    await ended
    const { user, system } = process.cpuUsage(this.#cpuBefore)
    const { latencies, uncorrected } = this.#recorder
    const encoded = (of: typeof latencies) => ({
      checkout: encodeHistogram(of.checkout),
      purchase: encodeHistogram(of.purchase),
    })
    return {
      type: 'done',
      latencies: encoded(latencies),
      uncorrected: encoded(uncorrected),
      cpuSeconds: (user + system) / 1e6,
      peakBytes: process.resourceUsage().maxRSS * 1_024,
      neverSent: this.#neverSent,
      usedUpSecond: this.#secondOf(this.#shop.usedUpMs),
      lastPurchase: this.#lastPurchase(),
    }
  }

  #secondOf(ms: number | undefined): number | undefined {
    return ms === undefined ? undefined : (ms - this.#startMs) / 1_000
  }

  #lastPurchase(): Done['lastPurchase'] {
    const { lastPurchaseMs, answersAtLastPurchase: answers } = this.#recorder
    const second = this.#secondOf(lastPurchaseMs)
    return second === undefined ? undefined : { second, answers }
  }

  #connect(client: autocannon.Client): void {
    const { settings, url, generator } = this.#order
    const { mix, copies, timeout } = settings
    const timeoutMs = timeout * 1_000
    const recorder = this.#recorder
    const random = new SeededRandom(settings.seed + (this.#connections++ + 1) * settings.generators + generator)
    const requestEnd = ` HTTP/1.1\r\nHost: ${new URL(url).host}\r\nConnection: keep-alive\r\n\r\n`
    const buyer = new Buyer({ shop: this.#shop, recorder, mix, copies, random, requestEnd })
    let dueMs = 0
    let sentMs = 0
    const answer = (): void => {
      this.#awaiting -= 1
      const nowMs = performance.now()
      if (dueMs >= this.#startMs) recorder.measured(buyer.operation, nowMs - dueMs, nowMs - sentMs)
    }
    const wire: Wire = {
      next: () => {
        const due = this.#schedule.take(sender)
        if (due === undefined) {
          this.#checkQuiet()
          return undefined
        }
        dueMs = due
        sentMs = performance.now()
        this.#awaiting += 1
        recorder.tally.sent += 1
        return buyer.next()
      },
      answered: (status, reply) => {
        answer()
        buyer.answered(status, reply)
      },
      lost: (reason) => {
        // What was waited for in vain is a latency as well, and the worst ones: left out, they would flatter.
        if (reason === 'timeout') answer()
        else this.#awaiting -= 1
        recorder.unanswered(reason, buyer.path)
        buyer.lost()
      },
    }
    const sender: Sender = { wake: () => undefined }
    sender.wake = attach(client, wire, timeoutMs)
  }

  /** Reports each second when it has passed, the last one when it is cut short. */
  #arm(): void {
    setTimeout(() => this.#secondPassed(), Math.max(1, this.#secondEndMs - performance.now()))
  }

  get #secondEndMs(): number {
    return Math.min(this.#startMs + (this.#second + 1) * 1_000, this.#endMs)
  }

  #secondPassed(): void {
    if (this.#isClosed) return
    const nowMs = performance.now()
    // A timer may fire too early, and a second is reported once.
    if (nowMs + earlyMs < this.#secondEndMs) {
      this.#arm()
      return
    }
    this.#report(this.#second)
    if (this.#second < 0 && nowMs + earlyMs >= this.#startMs) this.#cpuBefore = process.cpuUsage()
    this.#second = Math.floor((nowMs - this.#startMs + earlyMs) / 1_000)
    if (nowMs + earlyMs < this.#endMs) this.#arm()
    else this.#close()
  }

  #close(): void {
    this.#isClosed = true
    this.#neverSent = this.#schedule.overdue ?? 0
    this.#schedule.close()
    this.#checkQuiet()
    setTimeout(() => this.#whenQuiet?.(), this.#order.settings.timeout * 1_000 + tailSlackMs)
  }

  #checkQuiet(): void {
    if (this.#awaiting === 0 && this.#isClosed) this.#whenQuiet?.()
  }

  #report(second: number | 'tail'): void {
    send({ type: 'second', second, ...this.#recorder.takeSecond() })
  }
}

/** What of `total` falls to one of several, as evenly as it goes. */
function shareOf(total: number, index: number, parts: number): number {
  return Math.floor(total / parts) + (index < total % parts ? 1 : 0)
}

function send(message: FromGenerator): void {
  process.send?.(message)
}

async function runToEnd(order: Generator): Promise<void> {
  const done = await order.run()
  process.send?.(done, () => process.exit())
}

let generator: Generator | undefined

process.on('message', (message: ToGenerator) => {
  if (message.type === 'sale') generator?.openSale(message.sale)
  else if (message.type === 'stop') generator?.stop()
  else {
    generator = new Generator(message.order)
    void runToEnd(generator)
  }
})
// A terminal's Ctrl+C reaches the whole process group; the parent alone decides what it means.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => process.exit())
send({ type: 'ready' })

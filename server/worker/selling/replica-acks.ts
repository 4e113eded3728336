import assert from 'node:assert/strict'

import { Fault } from '../../../core/faults.ts'
import { ackWaitMsMax } from '../../../core/limits.ts'
import type { Log } from '../../../core/log.ts'
import { compareLogPositions, type LogPosition, parseLogPosition } from '../../../core/log-position.ts'
import type { Replicas, ReplicaWaits } from '../../../core/redis/replica-waits.ts'
import { startTimeLimit } from '../../../core/time-limit.ts'
import type { SellingMetrics } from './selling-metrics.ts'

export interface ReplicaAcksOptions {
  readonly shard: number
  readonly waits: Pick<
    ReplicaWaits,
    'isUp' | 'run' | 'connect' | 'assertRights' | 'look' | 'wait' | 'reconnect' | 'close'
  >
  readonly log: Log
  readonly metrics: Pick<SellingMetrics, 'fault' | 'replicated'>
}

/** complete: answers wait for all replicas; none: there are none, and nobody waits; behind: the last answers were given up. */
export interface ReplicaFacts {
  readonly status: 'complete' | 'none' | 'behind' | 'unknown'
  /** So many are waited for. */
  readonly awaited: number | undefined
}

/** A batch that was decided. */
interface Waiting {
  /** undefined: it has no log entry. */
  readonly position: LogPosition | undefined
  /** That decided it. */
  readonly run: string
  readonly sinceMs: number
  /** @param fault undefined: all replicas have it */
  readonly settle: (fault?: Fault) => void
}

/**
 * APP_ACK=replica: holds batches back until the replicas have them. One WAIT is out at a time, for all that have come by
 * then; those that come meanwhile share the next. It is asked of the master which replicas there are: once a second, and when
 * a WAIT shows that there may be others.
 */
export class ReplicaAcks {
  readonly #options: ReplicaAcksOptions
  /** In the order in which they were decided. */
  #waiting: Waiting[] = []
  #isAsking = false
  #isClosed = false
  /** Of the connection that there is; undefined: nobody has looked yet. */
  #replicas: (Replicas & { readonly run: string }) | undefined
  /** One for all: it is set for the oldest, and when it fires for the one that is the oldest then. */
  #endLimit: (() => void) | undefined
  #isLate = false
  #hasNone = false

  constructor(options: ReplicaAcksOptions) {
    this.#options = options
  }

  get facts(): ReplicaFacts {
    const awaited = this.#replicas?.awaited
    if (this.#isLate) return { status: 'behind', awaited }
    if (awaited === undefined) return { status: 'unknown', awaited }
    return { status: awaited === 0 ? 'none' : 'complete', awaited }
  }

  /** For the first time. @throws Fault */
  async connect(): Promise<void> {
    const { waits } = this.#options
    if (!waits.isUp) await waits.connect()
    await waits.assertRights()
    await this.#look()
  }

  /** The connection may lead to a Redis that was replaced. */
  reconnect(): void {
    this.#options.waits.reconnect()
  }

  /** Once a second. Never rejects for a Fault. */
  async looked(): Promise<void> {
    if (this.#options.waits.isUp) await this.#look().catch((error: unknown) => void this.#faultOf(error))
  }

  /**
   * Resolves when every replica has what the run has decided by now, or with why that isn't known.
   * @param logId of the batch; '' when it has no entry. Not before that of any earlier call
   */
  confirm(logId: string, run: string): Promise<Fault | undefined> {
    return new Promise((resolve) => {
      if (this.#isClosed) resolve(unconfirmed('this server is closing'))
      else this.#enqueue({ position: logId === '' ? undefined : parseLogPosition(logId), run, settle: resolve })
    })
  }

  /** Gives up all that wait, and from now on all that come. */
  close(): void {
    this.#isClosed = true
    this.#endLimit?.()
    this.#giveUp(this.#waiting.splice(0), 'this server is closing')
    this.#options.waits.close()
  }

  #enqueue(batch: Omit<Waiting, 'sinceMs'>): void {
    this.#waiting.push({ ...batch, sinceMs: performance.now() })
    this.#endLimit ??= startTimeLimit(ackWaitMsMax, this.#expire)
    if (!this.#isAsking) void this.#askAll()
  }

  async #askAll(): Promise<void> {
    assert(!this.#isAsking, 'one WAIT is out at a time')
    this.#isAsking = true
    while (this.#waiting.length > 0) {
      const asked = new Set(this.#waiting)
      try {
        await this.#ask(asked)
      } catch (error) {
        const { message } = this.#faultOf(error)
        this.#giveUp(this.#take(asked), message)
      }
    }
    this.#isAsking = false
  }

  /** Settles those that all replicas have by now. What is left of them is asked for again. @throws Fault */
  async #ask(asked: ReadonlySet<Waiting>): Promise<void> {
    const { waits } = this.#options
    const { run } = waits
    const { awaited, online: known } = this.#replicas?.run === run ? this.#replicas : await this.#look()
    const { position, confirmed, online } = await waits.wait(run, awaited)
    // Another one may have joined, or been marked FAIL meanwhile; one that was marked and takes part again may soon take over.
    if (confirmed < awaited || online !== known || online > awaited) {
      const now = await this.#look()
      if (confirmed < now.awaited) return
    }
    const done = this.#take(asked)
    const isThere = (batch: Waiting) =>
      batch.run === run && (batch.position === undefined || compareLogPositions(batch.position, position) <= 0)
    this.#confirm(done.filter(isThere))
    this.#giveUp(
      done.filter((batch) => !isThere(batch)),
      'another run of Redis was asked',
    )
  }

  /** Those of them that still wait. */
  #take(asked: ReadonlySet<Waiting>): Waiting[] {
    const taken = this.#waiting.filter((batch) => asked.has(batch))
    this.#waiting = this.#waiting.filter((batch) => !asked.has(batch))
    return taken
  }

  #confirm(batches: readonly Waiting[]): void {
    const { shard, metrics, log } = this.#options
    if (batches.length > 0 && this.#isLate) {
      this.#isLate = false
      log.info('the replicas confirm decisions again')
    }
    const nowMs = performance.now()
    for (const { sinceMs, settle } of batches) {
      metrics.replicated(shard, (nowMs - sinceMs) / 1_000)
      settle()
    }
  }

  #giveUp(batches: readonly Waiting[], reason: string): void {
    if (batches.length === 0) return
    const fault = unconfirmed(reason)
    this.#options.metrics.fault(fault.code, this.#options.shard)
    if (!this.#isLate && !this.#isClosed) {
      this.#options.log.error({ code: fault.code, reason }, 'the replicas do not confirm decisions')
      this.#isLate = true
    }
    for (const { settle } of batches) settle(fault)
  }

  readonly #expire = (): void => {
    const nowMs = performance.now()
    const isLate = ({ sinceMs }: Waiting) => sinceMs + ackWaitMsMax <= nowMs
    const late = this.#waiting.filter(isLate)
    this.#waiting = this.#waiting.filter((batch) => !isLate(batch))
    const [oldest] = this.#waiting
    this.#endLimit = oldest && startTimeLimit(oldest.sinceMs + ackWaitMsMax - nowMs, this.#expire)
    this.#giveUp(late, `not all replicas have it after ${ackWaitMsMax} ms`)
  }

  /** @throws Fault */
  async #look(): Promise<Replicas> {
    const { waits, log } = this.#options
    const { run } = waits
    const replicas = await waits.look()
    this.#replicas = { ...replicas, run }
    const hasNone = replicas.awaited === 0
    if (hasNone && !this.#hasNone)
      log.warn({ code: 'HC_REPLICA_NONE' }, 'there is no replica that answers could wait for: they leave at once')
    if (!hasNone && this.#hasNone) log.info('there are replicas again')
    this.#hasNone = hasNone
    return replicas
  }

  #faultOf(error: unknown): Fault {
    if (!(error instanceof Fault)) throw error
    this.#replicas = undefined
    return error
  }
}

function unconfirmed(reason: string): Fault {
  return new Fault('HC_REPLICA_LATE', reason)
}

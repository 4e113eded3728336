import assert from 'node:assert/strict'
import { Fault } from '../core/faults.ts'
import {
  drainApartMsMax,
  drainBytesMax,
  drainIntervalMsMin,
  drainRetryDelayMsMin,
  drainStandbyMs,
  logReadBlockMs,
  logStateIntervalMs,
} from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../core/log-position.ts'
import type { LogHead } from '../core/postgres/log-epochs.ts'
import { publishCommitted } from '../core/redis/committed-channel.ts'
import type { ShardKeys } from '../core/redis/keys.ts'
import type { LogState, SaleStore } from '../core/redis/sale-store.ts'
import type { CommitTracing } from './commit-tracing.ts'
import { type CopiedChunk, rowCount } from './copied-chunk.ts'
import type { CopyPool } from './copy-pool.ts'
import { DrainPace } from './drain-pace.ts'
import {
  type DrainEvent,
  type DrainState,
  type Failure,
  failureOf,
  initialState,
  isNews,
  isTurn,
  next,
  type Success,
  troubleOf,
} from './drain-state.ts'
import type { StepHook } from './drain-steps.ts'
import { checkAdmitted, checkNothingLost, checkNothingMissing } from './log-checks.ts'
import { entryCount, gatherChunk, type LogChunk } from './log-chunk.ts'
import type { LogReader, LogTrimmer } from './log-reader.ts'
import { runReplaced } from './move-offset.ts'
import { OthersDrain } from './others-drain.ts'
import type { ShardMetrics } from './persister-metrics.ts'
import { isOfEntry, isPassing, ofEntry } from './refusals.ts'
import { StateReport } from './state-report.ts'
import { Suspects } from './suspects.ts'
import { Troubles } from './troubles.ts'
import { Waits } from './waits.ts'

export interface PersisterParts {
  /** Whose log it drains. All that follows belongs to it. */
  readonly shard: number
  readonly keys: ShardKeys
  /** Connected once, by `connect`; from then on they reconnect by themselves. */
  readonly store: SaleStore
  /** Reads on a connection of its own, because its reads block. */
  readonly reader: LogReader
  /** Trims on the store's connection. */
  readonly trimmer: LogTrimmer
  readonly connect: () => Promise<void>
  /** Shared with the persisters of the other shards. */
  readonly copies: CopyPool
  /** Whether there are no others. */
  readonly isAlone: boolean
  readonly metrics: ShardMetrics
  /** `undefined`: nothing is traced. */
  readonly commits: CommitTracing | undefined
  readonly log: Log
  readonly reached: StepHook
}

/**
 * Drains the log of a shard into Postgres: reads a chunk, has it copied, trims it, over and over. What it believes of the offset
 * is only ever a guess that the transaction checks; after any trouble it asks Postgres again. So nothing has to be
 * remembered across a failure, and a second persister, or a crash anywhere, can cost time but never a row.
 * Where it can be, and what leads there, is drawn in drain-state.ts.
 */
export class Persister {
  readonly #parts: PersisterParts
  readonly #troubles: Troubles
  readonly #waits: Waits
  readonly #suspects = new Suspects()
  readonly #pace = new DrainPace()
  readonly #report: StateReport
  readonly #others: OthersDrain
  /** Changed by #move alone. */
  #state: DrainState = initialState
  #endPause: () => void = () => undefined
  /** Since when it fails to reach the Redis that has the log, and that is admitted; counted anew when the end is wanted. */
  #apartSinceMs: number | undefined

  constructor(parts: PersisterParts) {
    this.#parts = parts
    this.#troubles = new Troubles(parts.log, parts.isAlone)
    this.#waits = new Waits(parts.log)
    this.#others = new OthersDrain(parts.store)
    this.#report = new StateReport(parts, () => this.#state)
  }

  /**
   * Returns when the log was drained after `drain()`, if need be by another server's, or the running transaction ended after
   * `stop()`.
   * @throws Fault while draining, when waiting won't help and work is left: HC_LOG_GAP | HC_LOG_LOST | HC_LOG_TERMS |
   *   HC_LOG_MALFORMED | HC_POSTGRES_REFUSED | HC_SCHEMA; of one of several shards also HC_REDIS_* | HC_RUN_REPLACED
   */
  async run(): Promise<'drained' | 'stopped'> {
    const ticks = setInterval(() => {
      this.#waits.look()
      void this.#report.tick()
    }, logStateIntervalMs)
    try {
      while (this.#state.goal !== 'stop') {
        try {
          if ((await this.#step()) === 'at end' && this.#state.goal === 'drain') {
            await this.#report.tellEnd()
            return 'drained'
          }
        } catch (error) {
          if (!(error instanceof Fault)) throw error
          await this.#recover(error)
          const { goal, place } = this.#state
          const isInVain = goal === 'drain' && troubleOf(place) !== undefined
          if (isInVain && (await this.#others.hasReachedEnd())) return 'drained'
        }
      }
      return 'stopped'
    } finally {
      clearInterval(ticks)
    }
  }

  /** To the very end: finished when nothing follows what was committed, not even what others append meanwhile. */
  drain(): void {
    this.#move({ name: 'drain' })
    this.#apartSinceMs = undefined
    this.#troubles.remind()
    this.#waits.remind()
    this.#endPause()
  }

  stop(): void {
    this.#move({ name: 'stop' })
    this.#endPause()
  }

  async #step(): Promise<'at end' | 'moved'> {
    const { shard, reader, metrics, reached } = this.#parts
    if (this.#state.place.name === 'connecting') await this.#connect()
    if (this.#state.place.name === 'standby' && !(await this.#mayGoOn())) return 'moved'
    const isDraining = this.#state.goal === 'drain'
    if (this.#state.offset === undefined) await this.#locate()
    const after = this.#knownPosition
    const blockMs = isDraining || this.#state.place.name !== 'active' ? 0 : logReadBlockMs
    const entriesMax = Math.min(this.#suspects.entriesMax, this.#pace.entriesMax)
    const { run, entries } = await this.#waits.on("Redis' log", reader.read(after, { entriesMax, blockMs }))
    if (entries.length === 0) {
      await this.#checkIdle(run)
      return isDraining ? 'at end' : 'moved'
    }
    const chunk = gatherChunk(entries, { shard, run, after, bytesMax: drainBytesMax })
    const startedAtMs = performance.now()
    const copied = await this.#copy(chunk)
    metrics.copied(copied)
    this.#parts.commits?.committed(after, copied, startedAtMs)
    const intervalMs = this.#pace.intervalMs({ startedAtMs, entries: copied.entries, rows: rowCount(copied) })
    this.#succeeded({ name: 'copied', through: copied.through, atMs: performance.now() })
    reached('before_trim')
    const isAwaited = await this.#announce()
    reached('after_trim')

    // No wait when more is there already (the read was full), or when purchases wait for their commit: then the next
    // transaction takes what came in during this one.
    const isBehind = copied.entries < entries.length || entries.length === entriesMax
    if (!isBehind && !isDraining && !isAwaited) await this.#pause(intervalMs - (performance.now() - startedAtMs))
    return 'moved'
  }

  async #connect(): Promise<void> {
    await this.#waits.on('a connection to Redis', this.#parts.connect())
    this.#move({ name: 'connected' })
  }

  /** @throws Fault; a refused row's names its log entry, once that stands alone */
  async #copy(chunk: LogChunk): Promise<CopiedChunk> {
    const count = entryCount(chunk)
    try {
      const copied = await this.#waits.on('Postgres to take log entries', this.#parts.copies.copy(chunk))
      assertWithin(copied, chunk, count)
      this.#suspects.copied(copied.entries)
      return copied
    } catch (error) {
      if (!(error instanceof Fault && isOfEntry(error))) throw error
      this.#suspects.refused(count)
      throw count === 1 ? ofEntry(error, chunk.through) : error
    }
  }

  #askHead(): Promise<LogHead> {
    return this.#waits.on('Postgres to say how far it has the log', this.#parts.copies.head(this.#parts.shard))
  }

  async #askLogState(): Promise<LogState & { readonly run: string }> {
    const { store } = this.#parts
    const { run } = store
    return { ...(await this.#waits.on('Redis to say where the log ends', store.logState())), run }
  }

  /**
   * Asks Postgres for the offset, and whether the log goes that far.
   * @throws Fault HC_LOG_LOST | HC_OFFSET_MOVED | HC_RUN_REPLACED
   */
  async #locate(): Promise<void> {
    const head = await this.#askHead()
    const { position } = head
    const { gap } = this.#state
    this.#move({ name: 'located', position })
    if (gap?.isChecked === false && compareLogPositions(gap.after, position) !== 0) {
      throw new Fault('HC_OFFSET_MOVED', 'what this persister was to copy was committed and trimmed by another')
    }
    // In this order: the log may be further than what we know of Postgres, but never the other way round.
    const state = await this.#askLogState()
    checkAdmitted(head, state.run)
    checkNothingLost(state, position)
    // Whoever committed this may have died before it said so and trimmed.
    await this.#announce()
  }

  /** Says how far Postgres is, and trims what it has, no more. Returns whether anybody listens. @throws Fault */
  async #announce(): Promise<boolean> {
    const { store, keys, trimmer } = this.#parts
    const position = this.#knownPosition
    const announcing = Promise.all([publishCommitted(store.redis, keys, position), trimmer.trim(position)])
    const [listeners] = await this.#waits.on('Redis to trim the log', announcing)
    return listeners > 0
  }

  get #knownPosition(): LogPosition {
    const { offset } = this.#state
    assert.ok(offset !== undefined)
    return offset.position
  }

  /**
   * Checks that nothing follows the offset. Postgres may be gone, another persister may drain, and a log that was emptied
   * or went back in time looks like one that is drained; so does the one of a Redis that was replaced.
   * @param run that was read from
   * @throws Fault
   */
  async #checkIdle(run: string): Promise<void> {
    const { goal, offset } = this.#state
    assert.ok(offset !== undefined)
    if (goal === 'run' && performance.now() - offset.checkedAtMs < logStateIntervalMs) {
      assert.equal(this.#state.place.name, 'active', 'all was well a moment ago')
      return
    }
    const { position } = offset
    const head = await this.#askHead()
    if (compareLogPositions(head.position, position) !== 0) {
      throw new Fault('HC_OFFSET_MOVED', 'while this persister was idle')
    }
    checkAdmitted(head, run)
    const state = await this.#askLogState()
    checkAdmitted(head, state.run)
    checkNothingLost(state, position)
    checkNothingMissing(state, head)
    this.#succeeded({ name: 'idle', atMs: performance.now() })
  }

  /** In standby, after a while: whether to go on. */
  async #mayGoOn(): Promise<boolean> {
    const { place } = this.#state
    return 'looks' in place ? await this.#isReadmitted(place.looks) : await this.#mayTakeOver()
  }

  /** Whether this persister reaches the admitted run by now. A Redis that has restarted is admitted after a moment. */
  async #isReadmitted(looks: number): Promise<boolean> {
    const waitMs = Math.min(drainRetryDelayMsMin * 2 ** Math.min(looks, 10), drainStandbyMs)
    await this.#pause(waitMs)
    if (this.#state.goal === 'stop') return false
    const head = await this.#askHead()
    const { run } = await this.#askLogState()
    this.#move({ name: 'looked', position: head.position })
    if (head.run !== undefined && head.run !== run && this.#isToBeLeft()) throw runReplaced(run, head.run)
    if (head.run === undefined || head.run === run) {
      // Its connection is another, which a failover may have left where it was.
      const { reader } = this.#parts
      if (head.run !== undefined && reader.run !== '' && reader.run !== head.run) reader.reconnect()
      return true
    }
    if (waitMs === drainStandbyMs) {
      // The connections may lead to one that was cut off and is no longer where Redis is.
      this.#parts.reader.reconnect()
      this.#parts.store.redis.disconnect(true)
    }
    return false
  }

  /**
   * Whether the active persister is gone. It is when it was silent for long, or when the offset stood still although there
   * was work. Taking over from one that is merely slow is safe, and costs a wait.
   */
  async #mayTakeOver(): Promise<boolean> {
    if (this.#state.goal === 'run') await this.#pause(drainStandbyMs)
    if (this.#state.goal !== 'run') return true
    const before = this.#state.lastPosition
    const { position: offset } = await this.#askHead()
    const { last, backlogEntries, persister } = await this.#askLogState()
    this.#move({ name: 'looked', position: offset })
    const stoodStill = compareLogPositions(before, offset) === 0
    const hasWork = compareLogPositions(last, offset) > 0 && backlogEntries > 0
    const mayTakeOver = stoodStill && (hasWork || persister === undefined)
    if (mayTakeOver) {
      const fields = { position: formatLogPosition(offset), hasWork, isSilent: persister === undefined }
      this.#parts.log.debug(fields, 'the other persister does not go on: this one takes over')
    }
    return mayTakeOver
  }

  async #recover(fault: Fault): Promise<void> {
    const failure = failureOf(fault, this.#state, this.#suspects.areSeveral)
    if (failure.name !== 'gap_seen') this.#parts.metrics.fault(fault.code)
    // A run that is refused is known, and halved: see suspects.ts.
    if (failure.name !== 'run_refused') this.#pace.failed()
    const delayMs = this.#delayAfter(failure, fault)
    this.#move(failure)
    const isApart = failure.name === 'redis_failed' || failure.name === 'redis_replaced'
    if (isApart ? this.#isToBeLeft() : failure.name === 'blocked' && this.#state.goal === 'drain' && !isPassing(fault))
      throw fault
    await this.#pause(delayMs)
  }

  /** Of a log that can't be reached: whether it stays where it is, for the next start. One that is alone is waited for. */
  #isToBeLeft(): boolean {
    this.#apartSinceMs ??= performance.now()
    const { isAlone } = this.#parts
    return this.#state.goal === 'drain' && !isAlone && performance.now() - this.#apartSinceMs >= drainApartMsMax
  }

  /** Until the next attempt. Says what is in the way. */
  #delayAfter(failure: Failure, fault: Fault): number {
    switch (failure.name) {
      case 'overtaken':
        return this.#state.goal === 'run' ? 0 : drainIntervalMsMin
      case 'gap_seen':
      case 'run_refused':
      case 'redis_replaced': // it looks again after a wait of its own
        return 0
      case 'redis_failed':
      case 'blocked':
        return this.#troubles.met(fault)
    }
  }

  /** Only now: that Postgres answers does not mean yet that it takes what comes next. */
  #succeeded(event: Success): void {
    this.#troubles.over()
    this.#apartSinceMs = undefined
    this.#move(event)
  }

  #move(event: DrainEvent): void {
    const from = this.#state
    const to = next(from, event)
    this.#state = to
    if (isTurn(from, to)) {
      const fields = { from: from.place.name, to: to.place.name, why: event.name, goal: to.goal }
      this.#parts.log.debug({ ...fields, position: formatLogPosition(to.lastPosition) }, 'the persister moves')
    }
    if (isNews(from.place, to.place)) void this.#report.tick()
  }

  /** Waits, unless and until the goal changes. */
  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** A copy ends where the chunk does, or before an entry that can't be read; the next read goes on from there. */
function assertWithin({ through, entries }: CopiedChunk, chunk: LogChunk, count: number): void {
  const isWhole = compareLogPositions(through, chunk.through) === 0
  assert.ok(entries > 0 && entries <= count && isWhole === (entries === count))
}

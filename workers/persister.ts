import { hostname } from 'node:os'
import { Fault } from '../core/faults.ts'
import {
  copyHangMs,
  drainBytesMax,
  drainIntervalMs,
  drainStandbyMs,
  logReadBlockMs,
  logStateIntervalMs,
} from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../core/log-position.ts'
import { missingEntries } from '../core/recovery/verdict.ts'
import { publishCommitted } from '../core/redis/committed-channel.ts'
import type { ShardKeys } from '../core/redis/keys.ts'
import {
  type PersisterState,
  type PersisterStateName,
  type PersisterTrouble,
  publishPersisterState,
} from '../core/redis/persister-state.ts'
import type { LogState, SaleStore } from '../core/redis/sale-store.ts'
import type { CopiedChunk } from './copied-chunk.ts'
import type { CopyPool } from './copy-pool.ts'
import type { StepHook } from './drain-steps.ts'
import { entryCount, gatherChunk, type LogChunk } from './log-chunk.ts'
import type { LogReader } from './log-reader.ts'
import type { PersisterMetrics } from './persister-metrics.ts'
import { isOfRows, isPassing, publicTrouble, stateAfter } from './refusals.ts'
import { Suspects } from './suspects.ts'
import { Troubles } from './troubles.ts'
import { Waits } from './waits.ts'

const stateSentences = {
  active: 'this persister drains the log',
  standby: 'another persister drains the log, this one stands by',
  away: 'this persister gets nothing into Postgres at the moment',
  refused: 'this persister gets nothing into Postgres, which refuses its rows',
  locked: "this persister gets nothing into Postgres, because of another session's lock",
  log_fault: 'this persister gets no further in the log',
} as const satisfies Record<PersisterStateName, string>

export interface PersisterParts {
  /** Whose log it drains. All that follows belongs to it. */
  readonly shard: number
  readonly keys: ShardKeys
  /** Connected once, by `connect`; from then on they reconnect by themselves. */
  readonly store: SaleStore
  /** Reads on a connection of its own, because its reads block. */
  readonly reader: LogReader
  /** Trims on the store's connection. */
  readonly trimmer: LogReader
  readonly connect: () => Promise<void>
  readonly copies: CopyPool
  readonly metrics: PersisterMetrics
  readonly log: Log
  readonly reached: StepHook
}

/**
 * Drains the log into Postgres: reads a chunk, has it copied, trims it, over and over. What it believes of the offset
 * is only ever a guess that the transaction checks; after any trouble it asks Postgres again. So nothing has to be
 * remembered across a failure, and a second persister, or a crash anywhere, can cost time but never a row.
 */
export class Persister {
  readonly #parts: PersisterParts
  readonly #troubles: Troubles
  readonly #waits: Waits
  readonly #suspects = new Suspects()
  #goal: 'run' | 'drain' | 'stop' = 'run'
  /** starting: nothing was tried yet, so there is nothing to say. */
  #state: PersisterStateName | 'starting' = 'starting'
  /** What it met last, unless it is active. */
  #trouble: PersisterTrouble | undefined
  #shownState: PersisterStateName | undefined
  #isConnected = false
  /** Where Postgres is, as far as we know; undefined: it has to be asked. */
  #position: LogPosition | undefined
  /** Entries were missing after this position, and it was not looked yet whether another persister took them. */
  #gapAfter: LogPosition | undefined
  /** The last position that was ever known, for what we say of ourselves. */
  #lastPosition: LogPosition = { epoch: 0, seq: 0 }
  /** When all was last seen to be well (performance.now()). */
  #checkedAtMs = Number.NEGATIVE_INFINITY
  #isTicking = false
  #endPause: () => void = () => undefined

  constructor(parts: PersisterParts) {
    this.#parts = parts
    this.#troubles = new Troubles(parts.log)
    this.#waits = new Waits(parts.log)
  }

  /**
   * Returns when the log was drained after `drain()`, or the running transaction ended after `stop()`.
   * @throws Fault while draining, when waiting won't help and work is left: HC_LOG_GAP | HC_LOG_LOST | HC_LOG_MALFORMED |
   *   HC_POSTGRES_REFUSED | HC_SCHEMA
   */
  async run(): Promise<'drained' | 'stopped'> {
    const ticks = setInterval(() => {
      this.#waits.look()
      void this.#tick()
    }, logStateIntervalMs)
    try {
      while (this.#goal !== 'stop') {
        try {
          if ((await this.#step()) === 'at end' && this.#goal === 'drain') {
            await this.#publish()
            return 'drained'
          }
        } catch (error) {
          if (!(error instanceof Fault)) throw error
          await this.#recover(error)
        }
      }
      return 'stopped'
    } finally {
      clearInterval(ticks)
    }
  }

  /** To the very end: finished when nothing follows what was committed, also nothing that others append meanwhile. */
  drain(): void {
    if (this.#goal === 'run') this.#goal = 'drain'
    this.#troubles.remind()
    this.#waits.remind()
    this.#endPause()
  }

  stop(): void {
    this.#goal = 'stop'
    this.#endPause()
  }

  async #step(): Promise<'at end' | 'moved'> {
    const { shard, reader, metrics, reached } = this.#parts
    if (!this.#isConnected) await this.#connect()
    if (this.#state === 'standby' && !(await this.#mayTakeOver())) return 'moved'
    const isDraining = this.#goal === 'drain'
    const after = (this.#position ??= await this.#locate())
    const blockMs = isDraining || this.#state !== 'active' ? 0 : logReadBlockMs
    const { entriesMax } = this.#suspects
    const entries = await this.#waits.on("Redis' log", reader.read(after, { entriesMax, blockMs }))
    if (entries.length === 0) {
      await this.#checkIdle(after)
      this.#succeeded()
      return isDraining ? 'at end' : 'moved'
    }
    const chunk = gatherChunk(entries, { shard, after, bytesMax: drainBytesMax })
    const startedAtMs = performance.now()
    const copied = await this.#copy(chunk)
    this.#located(copied.through)
    this.#checkedAtMs = performance.now()
    metrics.copied(copied)
    this.#succeeded()
    reached('before_trim')
    const isAwaited = await this.#announce(copied.through)
    reached('after_trim')

    // A full read means that more is waiting: then there is nothing to gather. Nor is there when somebody waits for the
    // commits: what came in during the last one makes up the next.
    const isBehind = copied.entries < entries.length || entries.length === entriesMax
    if (!isBehind && !isDraining && !isAwaited) await this.#pause(drainIntervalMs - (performance.now() - startedAtMs))
    return 'moved'
  }

  async #connect(): Promise<void> {
    await this.#waits.on('a connection to Redis', this.#parts.connect())
    this.#isConnected = true
  }

  /** @throws Fault; a refused row's names its log entry, once that stands alone */
  async #copy(chunk: LogChunk): Promise<CopiedChunk> {
    const count = entryCount(chunk)
    try {
      const copied = await this.#waits.on('Postgres to take log entries', this.#parts.copies.copy(chunk))
      this.#suspects.copied(copied.entries)
      return copied
    } catch (error) {
      if (!(error instanceof Fault && isOfRows(error))) throw error
      this.#suspects.refused(count)
      throw count === 1 ? error.of(`the log entry ${formatLogPosition(chunk.through)}`) : error
    }
  }

  #askOffset(): Promise<LogPosition> {
    return this.#waits.on('Postgres to say how far it has the log', this.#parts.copies.offset(this.#parts.shard))
  }

  #askLogState(): Promise<LogState> {
    return this.#waits.on('Redis to say where the log ends', this.#parts.store.logState())
  }

  /** Asks Postgres for the offset, and whether the log goes that far. @throws Fault HC_LOG_LOST | HC_OFFSET_MOVED */
  async #locate(): Promise<LogPosition> {
    const position = await this.#askOffset()
    const gapAfter = this.#gapAfter
    this.#gapAfter = undefined
    this.#located(position)
    if (gapAfter && compareLogPositions(gapAfter, position) !== 0) {
      throw new Fault('HC_OFFSET_MOVED', 'what this persister was to copy was committed and trimmed by another')
    }
    // In this order: the log may be further than what we know of Postgres, but never the other way round.
    checkNothingLost(await this.#askLogState(), position)
    // Whoever committed this may have died before it said so and trimmed.
    await this.#announce(position)
    return position
  }

  /** Says how far Postgres is, and trims what it has. Answers whether anybody listens. @throws Fault */
  async #announce(position: LogPosition): Promise<boolean> {
    const { store, keys, trimmer } = this.#parts
    const announcing = Promise.all([publishCommitted(store.redis, keys, position), trimmer.trim(position)])
    const [listeners] = await this.#waits.on('Redis to trim the log', announcing)
    return listeners > 0
  }

  #located(position: LogPosition): void {
    this.#position = position
    this.#lastPosition = position
  }

  /**
   * Nothing follows the position; is that the truth? Postgres may be gone, another persister may drain, and a log that
   * was emptied or went back in time would never show it by itself. @throws Fault
   */
  async #checkIdle(position: LogPosition): Promise<void> {
    if (this.#goal === 'run' && performance.now() - this.#checkedAtMs < logStateIntervalMs) return
    const offset = await this.#askOffset()
    if (compareLogPositions(offset, position) !== 0) throw new Fault('HC_OFFSET_MOVED', 'while this persister was idle')
    const state = await this.#askLogState()
    checkNothingLost(state, position)
    checkNothingMissing(state, position)
    this.#checkedAtMs = performance.now()
  }

  /**
   * In standby, after a while: whether the active one is gone. It is when it has been silent for long, or when the
   * offset stood still although there was work. Taking over from one that is merely slow is safe, and costs a wait.
   */
  async #mayTakeOver(): Promise<boolean> {
    if (this.#goal === 'run') await this.#pause(drainStandbyMs)
    if (this.#goal !== 'run') return true
    const before = this.#lastPosition
    const offset = await this.#askOffset()
    const state = await this.#askLogState()
    this.#lastPosition = offset
    const stoodStill = compareLogPositions(before, offset) === 0
    const hasWork = compareLogPositions(state.last, offset) > 0 && state.backlogEntries > 0
    return stoodStill && (hasWork || state.persister === undefined)
  }

  async #recover(fault: Fault): Promise<void> {
    const position = this.#position
    this.#position = undefined
    this.#checkedAtMs = Number.NEGATIVE_INFINITY
    if (fault.code === 'HC_OFFSET_MOVED') {
      this.#parts.metrics.fault(fault.code)
      if (this.#goal === 'run') this.#become('standby')
      else await this.#pause(drainIntervalMs)
      return
    }
    // Another persister may have committed and trimmed between our two looks. Then the next look at the offset differs.
    if (fault.code === 'HC_LOG_GAP' && this.#troubles.isNewGap(position)) {
      this.#gapAfter = position
      return
    }
    this.#parts.metrics.fault(fault.code)
    if (isOfRows(fault) && this.#suspects.areSeveral) return // at once with fewer of them
    const delayMs = this.#troubles.met(fault)
    if (!fault.code.startsWith('HC_REDIS_')) this.#become(stateAfter(fault), publicTrouble(fault))
    if (this.#goal === 'drain' && !isPassing(fault)) throw fault
    await this.#pause(delayMs)
  }

  /** Only now: that Postgres answers does not mean yet that it takes what comes next. */
  #succeeded(): void {
    this.#troubles.over()
    this.#become('active')
  }

  #become(state: PersisterStateName, trouble?: PersisterTrouble): void {
    const isNews = state !== this.#state || trouble?.reason !== this.#trouble?.reason
    this.#state = state
    this.#trouble = trouble
    if (isNews) void this.#tick()
  }

  /** Once a second and at changes: learns the state of the log and says our own. Never throws a Fault. */
  async #tick(): Promise<void> {
    this.#show()
    if (!this.#isConnected || this.#isTicking) return
    this.#isTicking = true
    try {
      const { backlogEntries, lagSeconds, persister } = await this.#parts.store.logState()
      this.#parts.metrics.backlog(backlogEntries, lagSeconds)
      if (this.#mayPublish(persister)) await this.#publish()
    } catch (error) {
      // Without Redis there is nobody to tell; the loop meets the same trouble, and announces it.
      if (!(error instanceof Fault)) throw error
    } finally {
      this.#isTicking = false
    }
  }

  /** Of several persisters the active one's word counts; what is in our way says nothing while it isn't in its. */
  #mayPublish(published: PersisterState | undefined): boolean {
    if (this.#state === 'active') return true
    const isOurs = published?.host === hostname() && published.pid === process.pid
    const isOthersActive = published?.state === 'active' && !isOurs
    return this.#trouble !== undefined && !isOthersActive
  }

  async #publish(): Promise<void> {
    const { store, keys } = this.#parts
    const published: PersisterState = {
      state: this.#visibleState,
      trouble: this.#trouble,
      position: this.#lastPosition,
      host: hostname(),
      pid: process.pid,
    }
    await publishPersisterState(store.redis, keys, published)
  }

  #show(): void {
    const state = this.#visibleState
    if (this.#state === 'starting' || state === this.#shownState) return
    this.#shownState = state
    this.#parts.metrics.state(state)
    this.#parts.log.info({ position: formatLogPosition(this.#lastPosition) }, stateSentences[state])
  }

  /** A transaction that takes too long may never end: libpq's calls can't be given a deadline. */
  get #visibleState(): PersisterStateName {
    const isHung = this.#state === 'active' && this.#parts.copies.busyMs > copyHangMs
    return this.#state === 'starting' || isHung ? 'away' : this.#state
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

function checkNothingLost({ last }: LogState, position: LogPosition): void {
  if (compareLogPositions(last, position) >= 0) return
  const [end, committed] = [formatLogPosition(last), formatLogPosition(position)]
  throw new Fault('HC_LOG_LOST', `the log ends at ${end}, but Postgres is at ${committed}`)
}

function checkNothingMissing(state: LogState, position: LogPosition): void {
  const missing = missingEntries(state, position)
  if (missing <= 0) return
  const [end, committed] = [formatLogPosition(state.last), formatLogPosition(position)]
  throw new Fault('HC_LOG_GAP', `the log ends at ${end}, and ${missing} entries after ${committed} are missing`)
}

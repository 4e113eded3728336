import { setTimeout as delay } from 'node:timers/promises'

import { redisPlace } from '../../../core/config/cluster-nodes.ts'
import type { Config } from '../../../core/config/load.ts'
import type { EncodedBatch } from '../../../core/decisions.ts'
import { Fault, type FaultCode } from '../../../core/faults.ts'
import {
  batchCommandsMax,
  batchesInFlightMax,
  batchOverlapCommandsMin,
  commandsWaitingMax,
  commandsWaitingMin,
  misledReconnectMs,
  redisReconnectDelayMsMax,
} from '../../../core/limits.ts'
import type { Log } from '../../../core/log.ts'
import type { LogPosition } from '../../../core/log-position.ts'
import type { ConnectionChange } from '../../../core/redis/connection.ts'
import { ConnectionNews } from '../../../core/redis/connection-news.ts'
import { ReplicaWaits } from '../../../core/redis/replica-waits.ts'
import { type LogState, SaleStore } from '../../../core/redis/sale-store.ts'
import type { ShardState } from '../../../core/shard-state.ts'
import { placePrefix } from '../../../core/shards.ts'
import type { Tracing } from '../../../core/tracing/tracing.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import type { TurnClock } from '../http/turn-clock.ts'
import { BatchTracing } from '../tracing/batch-tracing.ts'
import { Batcher, type BatchReply } from './batcher.ts'
import { type LogLack, LogRoom } from './log-room.ts'
import { LogWatch } from './log-watch.ts'
import { PostgresAcks } from './postgres-acks.ts'
import { RedisClock } from './redis-clock.ts'
import { ReplicaAcks, type ReplicaFacts } from './replica-acks.ts'
import { RunGate } from './run-gate.ts'
import type { SellingMetrics } from './selling-metrics.ts'
import { SoldItems } from './sold-items.ts'
import type { UncommittedAnswers } from './uncommitted-answers.ts'

export interface ShardOptions {
  readonly number: number
  /** There is no other, which needn't be said of what it does then. */
  readonly isOnly: boolean
  readonly config: Config
  readonly log: Log
  readonly metrics: SellingMetrics
  readonly turnClock: TurnClock
  readonly tracing?: Tracing | undefined
}

/** What is known of a shard at the moment, for the readiness of its worker. */
export interface ShardFacts {
  /** The connection stands, and the last question was answered. */
  readonly isRedisUp: boolean
  readonly redisFault: FaultCode | undefined
  /** Redis is known to have everything that was sold. */
  readonly isSound: boolean
  /** What the primary says when it has not. */
  readonly primaryState: ShardState | undefined
  /** undefined: not known yet. */
  readonly logState: LogState | undefined
  readonly logLack: LogLack | undefined
  /** undefined: no answer waits for them. */
  readonly replicas: ReplicaFacts | undefined
}

/**
 * One log, and all that belongs to it in an HTTP worker: the connection to its Redis, the run that may decide, the batches
 * on their way, the room in the log and the watch over it, Redis' clock, and the answers that wait for Postgres.
 *
 *     opening ──open()──► decides ◄──refusal()──► redis_down, record_unsound, backlog_full, memory_full, overloaded
 *        └ Redis is away:      └──────────close()───────┴──► closed
 *          tried again
 */
export class Shard {
  readonly number: number
  /** For decisionHeader. */
  readonly decisionHeaderStart: string
  readonly store: SaleStore
  readonly clock = new RedisClock()
  readonly batcher: Batcher
  readonly #log: Log
  /** Its lines name the shard even if there is one. */
  readonly #namedLog: Log
  readonly #news: ConnectionNews
  readonly #metrics: SellingMetrics
  readonly #where: string
  readonly #gate: RunGate
  readonly #room: LogRoom
  readonly #watch: LogWatch
  readonly #sold = new SoldItems()
  readonly #acks: PostgresAcks | undefined
  /** With APP_ACK=replica. */
  readonly #replicas: ReplicaAcks | undefined
  readonly #whenLost: (() => void)[] = []
  readonly #whenLooked: (() => Promise<void>)[] = []
  /** What Redis answered to the last attempt to open, where it is there. */
  #refused: Fault | undefined
  #primaryState: ShardState | undefined
  /** How it stood when it was last looked at, for the level debug. */
  #shown = 'opening'
  /** Whether the last batch was decided: said when it changes. */
  #isDeciding = true
  #isClosed = false
  /** Since when its connection is known to lead to a Redis that the primary's does not; undefined: it isn't. */
  #misledSinceMs: number | undefined

  constructor({ number, isOnly, config, log: commonLog, metrics, turnClock, tracing }: ShardOptions) {
    const { app, redis } = config
    this.#namedLog = commonLog.child({ shard: number })
    const log = isOnly ? commonLog : this.#namedLog
    this.number = number
    this.decisionHeaderStart = `\r\nHotcakes-Decision: ${placePrefix(number)}`
    this.#log = log
    this.#news = new ConnectionNews(log, { up: 'Redis is up', down: 'Redis is away' })
    this.#metrics = metrics
    this.#where = redisPlace(redis)
    this.store = new SaleStore(redis, {
      shard: number,
      name: `hotcakes-http-${process.pid}`,
      onState: (state, about) => this.#connectionChanged(state, about),
    })
    this.#gate = new RunGate(this.store, { holdsBack: app.ack === 'replica' })
    const { keys } = this.store
    const fault = (code: FaultCode) => metrics.fault(code, number)
    this.#acks = app.ack === 'postgres' ? new PostgresAcks(redis, { keys, log, metrics: { fault } }) : undefined
    this.#replicas =
      app.ack === 'replica'
        ? new ReplicaAcks({
            shard: number,
            waits: new ReplicaWaits(redis, { keys, name: `hotcakes-http-${process.pid}-replicas` }),
            log,
            metrics,
          })
        : undefined
    this.#room = new LogRoom({
      backlogMax: app.logBacklogMax,
      onChange: (lack) => this.#roomChanged(lack, app.logBacklogMax),
    })
    this.#watch = new LogWatch({
      store: this.store,
      clock: this.clock,
      gate: this.#gate,
      room: this.#room,
      afterEach: () => this.#looked(),
    })
    this.batcher = new Batcher({
      decide: (batch) => this.#decide(batch),
      sold: this.#sold,
      intervalMs: app.saleIntervalSeconds * 1_000,
      batchCommandsMax,
      batchesInFlightMax,
      batchOverlapCommandsMin,
      commandsWaitingMin,
      commandsWaitingMax,
      deadlineMs: app.deadlineMs,
      now: () => performance.now(),
      onBatch: (commandCount, seconds) => {
        metrics.batch(number, commandCount, seconds)
        // Its answers are written now, and this turn may have taken in many requests before.
        turnClock.refresh()
      },
      onAnswered: tracing && new BatchTracing(tracing, number).answered,
    })
  }

  /** The connection to Redis was lost: what was read of it may be of another one than what comes next. */
  onLost(listener: () => void): void {
    this.#whenLost.push(listener)
  }

  /** After each look at the log that is not out of turn. The listener must not reject. */
  onLooked(listener: () => Promise<void>): void {
    this.#whenLooked.push(listener)
  }

  /** One attempt to connect and to look. Whether Redis has answered. */
  async open(): Promise<boolean> {
    try {
      if (!this.store.isUp) await this.store.connect()
      await this.#acks?.connect()
      await this.#replicas?.connect()
      await this.#watch.look()
      this.#refused = undefined
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#metrics.fault(error.code, this.number)
      this.#refused = error.code === 'HC_REDIS_UNAVAILABLE' ? undefined : error
    }
    return this.clock.now() !== undefined
  }

  /** Tries to open it until it is, or is closed. */
  async openAtLast(): Promise<void> {
    while (!this.#isClosed && !(await this.open())) await delay(redisReconnectDelayMsMax)
  }

  /** What opening it waits for, for people; `isRefused`: Redis is there and says no. */
  get waitsFor(): { readonly for: string; readonly isRefused: boolean } {
    const refused = this.#refused
    const why = refused === undefined ? '' : ` (${refused.code}: ${refused.message})`
    return { for: `${this.#where}${why}`, isRefused: refused !== undefined }
  }

  /** Looks at the log once a second from now on, until it is closed. */
  watch(): void {
    void this.#watch.run()
  }

  /** Why a command that comes now is turned away; `undefined` when it is not. Asked for each one: it only compares. */
  refusal(nowMs: number): ShedReason | undefined {
    if (!this.store.isUp) return 'redis_down'
    if (!this.#gate.isSound) return 'record_unsound'
    if (this.#room.lack !== undefined) return this.#room.lack
    return this.batcher.hasRoom(nowMs) ? undefined : 'overloaded'
  }

  /** The connection stands, and the last look at the log was answered. */
  get isAnswering(): boolean {
    return this.store.isUp && this.#watch.fault === undefined
  }

  /** Whether Redis is known to have everything that was sold. */
  get isSound(): boolean {
    return this.#gate.isSound
  }

  /** Whether what Redis holds can be read, and is true. */
  get isReadable(): boolean {
    return this.store.isUp && this.#gate.isSound
  }

  /** The newest log entry whose decisions this worker has answered. */
  get seen(): LogPosition | undefined {
    return this.#gate.seen
  }

  /** The last look at the log, even if Redis is gone since; `undefined` before the first. */
  get logState(): LogState | undefined {
    return this.#watch.state
  }

  /** Where successful purchases wait for Postgres; `undefined`: their answers leave at once. */
  get uncommitted(): UncommittedAnswers | undefined {
    return this.#acks?.answers
  }

  /** Whether the replicas confirm decisions; `undefined`: no answer waits for them. */
  get replicas(): ReplicaFacts | undefined {
    return this.#replicas?.facts
  }

  get facts(): ShardFacts {
    const { fault, state } = this.#watch
    return {
      isRedisUp: this.isAnswering,
      redisFault: fault,
      isSound: this.#gate.isSound,
      primaryState: this.#primaryState,
      logState: state,
      logLack: this.#room.lack,
      replicas: this.replicas,
    }
  }

  /** What the primary says of it. */
  primarySays(state: ShardState): void {
    this.#primaryState = state
    this.#gate.primarySays(state)
    this.#acks?.primarySays(state)
    this.#showHow()
  }

  /** The persister is gone: nobody would confirm what waits for Postgres. */
  giveUpUncommitted(): void {
    this.#acks?.answers.close()
  }

  close(): void {
    this.#isClosed = true
    this.#show('closed')
    this.#news.close()
    this.#watch.stop()
    this.#acks?.close()
    this.#replicas?.close()
    this.store.close()
  }

  /** At each turn that it is told of, and once a second: what the queue turns away in between is in the metrics. */
  #showHow(): void {
    if (this.#isClosed || this.clock.now() === undefined) return // before its first look it is opening
    this.#show(this.refusal(performance.now()) ?? 'decides')
  }

  #show(how: string): void {
    if (how === this.#shown) return
    const { seen, store } = this
    const run = store.isUp ? store.run : undefined
    this.#namedLog.debug({ from: this.#shown, to: how, run, seen }, 'a shard of this worker changed')
    this.#shown = how
  }

  #connectionChanged(state: 'up' | 'down', about: ConnectionChange): void {
    if (state === 'down') {
      this.#sold.clear()
      for (const listener of this.#whenLost) listener()
    }
    if (state === 'up') this.#news.up(about)
    else if (!this.#isClosed) this.#news.down(about)
    this.#showHow()
  }

  async #looked(): Promise<void> {
    this.#showHow()
    if (!this.#gate.isSound) this.#sold.clear()
    if (this.#gate.isMisled) this.#reconnectAtLast()
    else this.#misledSinceMs = undefined
    const all = this.#whenLooked.map((listener) => listener())
    await Promise.all([...all, this.#acks?.looked(this.#watch.state), this.#replicas?.looked()])
  }

  /** It leads to another Redis than the primary's does, and will for as long as it stands. */
  #reconnectAtLast(): void {
    const nowMs = performance.now()
    this.#misledSinceMs ??= nowMs
    if (nowMs - this.#misledSinceMs < misledReconnectMs) return
    this.#misledSinceMs = nowMs
    this.store.redis.disconnect(true)
    this.#acks?.reconnect()
    this.#replicas?.reconnect()
  }

  #roomChanged(lack: LogLack | undefined, backlogMax: number): void {
    const backlogEntries = this.#watch.state?.backlogEntries
    if (lack === undefined) this.#log.info({ backlogEntries }, 'the log has room again: selling goes on')
    else this.#log.error({ lack, backlogEntries, backlogMax }, 'selling stops')
    this.#showHow()
  }

  async #decide(batch: EncodedBatch): Promise<BatchReply> {
    try {
      const committed = this.#acks?.answers.committed
      const run = this.#replicas && this.store.run
      const decided = await this.store.decide(batch)
      if (decided.id !== '') this.#logged(decided.id, committed)
      if (!this.#isDeciding) this.#log.info('Redis decides again')
      this.#isDeciding = true
      return run === undefined ? decided : { ...decided, confirmed: this.#confirmed(decided.id, run) }
    } catch (error) {
      if (error instanceof Fault) this.#notDecided(error)
      throw error
    }
  }

  /** The batch has decided or changed something. @throws Fault HC_LOG_LOST when Redis has forgotten something meanwhile */
  #logged(logId: string, committedBefore: LogPosition | undefined): void {
    if (committedBefore !== undefined) this.#acks?.assertNew(logId, committedBefore)
    this.#gate.decided(logId)
    if (this.#room.mayBeFull(logId)) void this.#watch.lookEarly()
  }

  /** Also of a batch without an entry: it may say what others have decided that no replica has yet. */
  async #confirmed(logId: string, run: string): Promise<Fault | undefined> {
    const fault = await this.#replicas?.confirm(logId, run)
    if (fault === undefined && logId !== '') this.#gate.answered(logId)
    return fault
  }

  #notDecided(fault: Fault): void {
    this.#metrics.fault(fault.code, this.number)
    if (fault.code === 'HC_RECORD_UNSOUND') this.#gate.refused()
    if (!this.#gate.isSound) this.#sold.clear()
    if (this.#isDeciding) this.#log.error({ code: fault.code, reason: fault.message }, 'a batch was not decided')
    this.#isDeciding = false
    this.#showHow()
    // It may be out of memory, and the next look would be up to a second away.
    if (fault.code === 'HC_REDIS_REFUSED') void this.#watch.lookEarly()
  }
}

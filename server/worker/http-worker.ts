import { setTimeout as delay } from 'node:timers/promises'
import { Registry } from 'prom-client'
import type { Config } from '../../core/config/load.ts'
import { listedOrigins } from '../../core/config/origins.ts'
import { Fault } from '../../core/faults.ts'
import { NonceSource } from '../../core/ids.ts'
import { type HealthRound, type RecordReport, sendToPrimary, type WorkerHealth } from '../../core/ipc.ts'
import {
  batchCommandsMax,
  batchesInFlightMax,
  batchOverlapCommandsMin,
  commandsWaitingMax,
  commandsWaitingMin,
  redisReconnectDelayMsMax,
} from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import type { LogPosition } from '../../core/log-position.ts'
import { packageVersion } from '../../core/package-version.ts'
import { registerProcessMetrics } from '../../core/process-metrics.ts'
import { type DecidedBatch, SaleStore } from '../../core/redis/sale-store.ts'
import { Board } from './board/board.ts'
import { answerLive, type HealthFacts, judgeHealth } from './health.ts'
import { AddressCounts } from './http/address-counts.ts'
import { Connections } from './http/connections.ts'
import { Cors } from './http/cors.ts'
import { connectionsPossible } from './http/descriptor-limit.ts'
import { HttpServer, type Route, routeLabels } from './http/http-server.ts'
import { RateLimit } from './http/rate-limit.ts'
import { RequestMetrics, registerWorkerGauges, type ShedReason } from './http/request-metrics.ts'
import { connectionsByAddress } from './http/socket-table.ts'
import { TurnClock } from './http/turn-clock.ts'
import { Readiness } from './readiness.ts'
import { Reading } from './reading/reading.ts'
import { SaleView } from './reading/sale-view.ts'
import { referenceRoutes } from './reference/reference.ts'
import { Admission } from './selling/admission.ts'
import { Batcher } from './selling/batcher.ts'
import { CheckoutRoute } from './selling/checkout.ts'
import { type LogLack, LogRoom } from './selling/log-room.ts'
import { LogWatch } from './selling/log-watch.ts'
import { PostgresAcks } from './selling/postgres-acks.ts'
import { PurchaseRoute } from './selling/purchase.ts'
import { RecordGate } from './selling/record-gate.ts'
import { RedisClock } from './selling/redis-clock.ts'
import { SaleRotation, saleSettings } from './selling/sales.ts'
import type { Selling } from './selling/selling.ts'

/** The paths with their methods, in the order in which the metrics count them. */
const paths = {
  checkout: { path: '/checkout', method: 'POST' },
  purchase: { path: '/purchase', method: 'POST' },
  sale: { path: '/sale', method: 'GET' },
  livez: { path: '/livez', method: 'GET' },
  readyz: { path: '/readyz', method: 'GET' },
  health: { path: '/health', method: 'GET' },
} as const satisfies Record<string, Pick<Route, 'path' | 'method'>>

/** Everything of an HTTP worker but the process that it runs in. */
export class HttpWorker {
  readonly registry = new Registry()
  readonly #config: Config
  readonly #log: Log
  readonly #store: SaleStore
  readonly #clock = new RedisClock()
  readonly #turnClock = new TurnClock()
  readonly #metrics: RequestMetrics
  readonly #record: RecordGate
  readonly #batcher: Batcher
  readonly #rotation: SaleRotation
  readonly #saleView: SaleView
  readonly #room: LogRoom
  readonly #watch: LogWatch
  readonly #acks: PostgresAcks | undefined
  readonly #connections: Connections
  readonly #board: Board
  readonly #reading: Reading
  readonly #readiness: Readiness
  readonly #server: HttpServer
  #waitsFor: string | undefined
  /** What Redis answered to the last attempt to connect, where it is there. */
  #refusal: Fault | undefined
  #isDeciding = true
  /** What the primary says of Redis' state. */
  #recordReport: RecordReport | undefined
  #isClosed = false

  /** @param options.primaryAnswersProbes false: it is of a version before, and the worker speaks for itself */
  constructor(config: Config, log: Log, { primaryAnswersProbes = true } = {}) {
    const { app, redis } = config
    const intervalMs = app.saleIntervalSeconds * 1_000
    this.#config = config
    this.#log = log
    this.#store = new SaleStore(redis, {
      name: `hotcakes-http-${process.pid}`,
      onState: (state, fault) => {
        if (state === 'down') this.#board.redisLost()
        if (state === 'up') log.info('Redis is up')
        else if (!this.#isClosed) log.warn({ code: fault?.code, reason: fault?.message }, 'Redis is away')
      },
    })
    this.#board = new Board({
      store: this.#store,
      clock: this.#clock,
      intervalMs,
      registry: this.registry,
    })
    this.#reading = this.#newReading()
    const others = [
      ...this.#reading.routes,
      ...this.#board.routes,
      ...referenceRoutes({
        version: packageVersion(),
        baseUrl: `http://localhost:${app.port}`,
        sale: () => this.#rotation.current,
      }),
    ]
    this.#record = new RecordGate(this.#store)
    this.#metrics = new RequestMetrics(this.registry, routeLabels([...Object.values(paths), ...others]))
    this.#room = new LogRoom({ backlogMax: app.logBacklogMax, onChange: (lack) => this.#logRoomChanged(lack) })
    this.#batcher = this.#newBatcher(intervalMs)
    const onUnlisted = (sale: number) => this.#rotation.reopen(sale)
    this.#rotation = new SaleRotation({
      store: this.#store,
      clock: this.#clock,
      log,
      settings: saleSettings(config),
    })
    this.#saleView = new SaleView({ store: this.#store, clock: this.#clock, intervalMs, onUnlisted })
    this.#acks =
      app.ack === 'postgres'
        ? new PostgresAcks(redis, { keys: this.#store.keys, log, metrics: this.#metrics })
        : undefined
    this.#watch = new LogWatch({
      store: this.#store,
      clock: this.#clock,
      record: this.#record,
      room: this.#room,
      afterEach: async () => {
        await Promise.all([this.#saleView.refresh(), this.#acks?.looked(this.#watch.state)])
      },
    })
    this.#readiness = new Readiness({
      health: () => this.health,
      send: primaryAnswersProbes ? sendToPrimary : notAsked,
    })
    this.#connections = this.#boundConnections()
    this.#server = new HttpServer({
      routes: [...this.#routes(onUnlisted), ...others],
      metrics: this.#metrics,
      clock: this.#turnClock,
      connections: this.#connections,
      board: this.#board,
      rateLimit: app.rateLimitPerSecond === 0 ? undefined : new RateLimit(app.rateLimitPerSecond),
      cors: app.allowedOrigins === '' ? undefined : new Cors(listedOrigins(app.allowedOrigins)),
    })
    this.#registerGauges()
  }

  /**
   * Resolves when it listens, Redis has answered, and the current sale was asked for.
   * @param onAccepting called before it listens
   * @throws Fault HC_PORT_IN_USE
   */
  async start(onAccepting: () => void): Promise<void> {
    this.#waitsFor = `Redis at ${this.#config.redis.host}:${this.#config.redis.port}`
    // Redis and the sale before the port: from the moment it listens this worker gets its share of the connections,
    // and would turn away what its siblings could sell. But one attempt only: where Redis is away, a worker that
    // replaces a dead one must be there to say so.
    const isConnected = await this.#look()
    if (isConnected) await this.#rotation.start()
    if (this.#server.isDraining) return
    onAccepting()
    await this.#server.listen(this.#config.app.host, this.#config.app.port)
    if (!isConnected) {
      await this.#connect()
      await this.#rotation.start()
    }
    this.#waitsFor = undefined
    void this.#watch.run()
  }

  /** The newest log entry whose decisions it has answered. */
  get seen(): LogPosition | undefined {
    return this.#record.seen
  }

  /** What its start waits for; undefined when it waits for nothing that could be away. */
  get waitsFor(): { readonly for: string; readonly isRefused: boolean } | undefined {
    if (this.#waitsFor === undefined) return undefined
    const refusal = this.#refusal
    const why = refusal === undefined ? '' : ` (${refusal.code}: ${refusal.message})`
    return { for: `${this.#waitsFor}${why}`, isRefused: refusal !== undefined }
  }

  get health(): WorkerHealth {
    return judgeHealth(this.#healthFacts())
  }

  probed(id: number, round: HealthRound): void {
    this.#readiness.probed(id, round)
  }

  recordReported(report: RecordReport): void {
    this.#recordReport = report
    this.#record.reported(report)
  }

  /** Finishes what was accepted, and closes. Everything is answered when it resolves. */
  drain(): Promise<void> {
    return this.#finish(() => this.#server.drain())
  }

  /** The same when another worker has taken its place: whoever still comes meanwhile is served. */
  retire(): Promise<void> {
    return this.#finish(() => this.#server.retire())
  }

  async #finish(closeServer: () => Promise<void>): Promise<void> {
    this.#rotation.stop()
    this.#board.close()
    await closeServer()
    await this.#batcher.idle()
    this.#close()
  }

  /** The same with a deadline, and turning away what comes. */
  async stop(ms: number): Promise<void> {
    this.#rotation.stop()
    // The persister ends with the primary: nobody would confirm what waits.
    this.#acks?.answers.close()
    this.#readiness.close()
    this.#board.close()
    await this.#server.stop(ms)
    this.#close()
  }

  #close(): void {
    this.#isClosed = true
    this.#watch.stop()
    this.#acks?.close()
    this.#store.close()
    void this.#reading.close()
  }

  /** The primary has looked at Redis before it forked; if it is away now it will be back. */
  async #connect(): Promise<void> {
    while (!this.#isClosed && !(await this.#look())) await delay(redisReconnectDelayMsMax)
  }

  /** Whether Redis answers. */
  async #look(): Promise<boolean> {
    try {
      if (!this.#store.isUp) await this.#store.connect()
      await this.#acks?.connect()
      await this.#watch.look()
      this.#refusal = undefined
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#metrics.fault(error.code)
      this.#refusal = error.code === 'HC_REDIS_UNAVAILABLE' ? undefined : error
    }
    return this.#clock.now() !== undefined
  }

  #newReading(): Reading {
    return new Reading(this.#config, {
      store: this.#store,
      clock: this.#clock,
      isRecordSound: () => this.#record.isSound,
      logState: () => this.#watch.state,
      currentSale: () => this.#rotation.current,
      onFault: (code) => this.#metrics.fault(code),
      isSellingBusy: () => this.#batcher.waiting >= batchOverlapCommandsMin,
      registry: this.registry,
    })
  }

  #newBatcher(intervalMs: number): Batcher {
    return new Batcher({
      decide: (batch) => this.#decide(batch),
      intervalMs,
      batchCommandsMax,
      batchesInFlightMax,
      batchOverlapCommandsMin,
      commandsWaitingMin,
      commandsWaitingMax,
      deadlineMs: this.#config.app.deadlineMs,
      now: () => performance.now(),
      onBatch: (commandCount, seconds) => {
        this.#metrics.batch(commandCount, seconds)
        // Its answers are written now, and this turn may have taken in many requests before.
        this.#turnClock.refresh()
      },
    })
  }

  async #decide(batch: Buffer): Promise<DecidedBatch> {
    try {
      const committed = this.#acks?.answers.committed
      const decided = await this.#store.decide(batch)
      if (committed !== undefined) this.#acks?.assertNew(decided.id, committed)
      this.#record.decided(decided.id)
      if (!this.#isDeciding) this.#log.info('Redis decides again')
      this.#isDeciding = true
      if (this.#room.mayBeFull(decided.id)) void this.#watch.lookEarly()
      return decided
    } catch (error) {
      if (error instanceof Fault) this.#notDecided(error)
      throw error
    }
  }

  #notDecided(fault: Fault): void {
    this.#metrics.fault(fault.code)
    if (fault.code === 'HC_RECORD_UNSOUND') this.#record.refused()
    if (this.#isDeciding) this.#log.error({ code: fault.code, reason: fault.message }, 'a batch was not decided')
    this.#isDeciding = false
    // It may be out of memory, and the next look would be up to a second away.
    if (fault.code === 'HC_REDIS_REFUSED') void this.#watch.lookEarly()
  }

  #logRoomChanged(lack: LogLack | undefined): void {
    const backlogEntries = this.#watch.state?.backlogEntries
    if (lack === undefined) this.#log.info({ backlogEntries }, 'the log has room again: selling goes on')
    else this.#log.error({ lack, backlogEntries, backlogMax: this.#config.app.logBacklogMax }, 'selling stops')
  }

  #routes(onUnlisted: (sale: number) => void): Route[] {
    const selling: Selling = {
      batcher: this.#batcher,
      nonces: new NonceSource(),
      metrics: this.#metrics,
      onUnlisted,
      uncommitted: this.#acks?.answers,
    }
    const admission = new Admission({
      store: this.#store,
      record: this.#record,
      batcher: this.#batcher,
      room: this.#room,
      clock: this.#turnClock,
    })
    const refusal = (): ShedReason | undefined => admission.refusal()
    const handlers = {
      checkout: { handle: new CheckoutRoute(selling).handle, refusal },
      purchase: { handle: new PurchaseRoute(selling).handle, refusal },
      sale: { handle: this.#saleView.handle, refusal: () => (this.#record.isSound ? undefined : 'record_unsound') },
      livez: { handle: answerLive, isProbe: true },
      readyz: { handle: this.#readiness.handle, isProbe: true },
      health: { handle: this.#readiness.handle, isProbe: true },
    } satisfies Record<keyof typeof paths, Omit<Route, 'path' | 'method'>>
    return (Object.keys(paths) as (keyof typeof paths)[]).map((name) => ({ ...paths[name], ...handlers[name] }))
  }

  #boundConnections(): Connections {
    const { connectionsMax, connectionsPerAddressMax: max, port, workers } = this.#config.app
    const possible = connectionsPossible(connectionsMax)
    if (possible < connectionsMax)
      this.#log.warn({ connections: possible }, 'fewer open files than APP_CONNECTIONS_MAX')
    const addresses =
      max === 0 ? undefined : new AddressCounts({ max, workers, look: () => connectionsByAddress(port) })
    return new Connections(this.registry, { max: possible, addresses })
  }

  #healthFacts(): HealthFacts {
    const { fault } = this.#watch
    return {
      isDraining: this.#server.isDraining,
      isRedisUp: this.#store.isUp && fault === undefined,
      redisFault: fault,
      isRecordSound: this.#record.isSound,
      recordReport: this.#recordReport,
      logState: this.#watch.state,
      backlogMax: this.#config.app.logBacklogMax,
      needsPostgres: this.#acks !== undefined,
      logLack: this.#room.lack,
      sale: this.#rotation.current,
      isSaleOpen: this.#rotation.terms !== undefined,
    }
  }

  #registerGauges(): void {
    registerProcessMetrics(this.registry, 'http')
    registerWorkerGauges(this.registry, {
      commandsWaiting: () => this.#batcher.waiting,
      answersUncommitted: () => this.#acks?.answers.count ?? 0,
      connections: () => this.#connections.open,
      saleItems: () => this.#saleView.items,
    })
  }
}

function notAsked(): boolean {
  return false
}

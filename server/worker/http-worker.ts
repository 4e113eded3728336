import { Registry } from 'prom-client'

import type { Config } from '../../core/config/load.ts'
import { listedOrigins } from '../../core/config/origins.ts'
import { type HealthRound, sendToPrimary, type TokenKeysMessage, type WorkerHealth } from '../../core/ipc.ts'
import { batchOverlapCommandsMin } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { packageVersion } from '../../core/package-version.ts'
import { processNumber, registerProcessMetrics } from '../../core/process-metrics.ts'
import type { ShardState } from '../../core/shard-state.ts'
import { type Tracing, tracingOf } from '../../core/tracing/tracing.ts'
import { Board } from './board/board.ts'
import { SignedBuyers } from './buyers/signed-buyers.ts'
import { judgeHealth, judgeShards } from './health.ts'
import { boundConnections, type Connections } from './http/connections.ts'
import { Cors } from './http/cors.ts'
import { HttpServer, routeLabels } from './http/http-server.ts'
import { Phase } from './http/phase.ts'
import { RateLimit } from './http/rate-limit.ts'
import { RequestMetrics } from './http/request-metrics.ts'
import { TurnClock } from './http/turn-clock.ts'
import { Readiness } from './readiness.ts'
import { Reading } from './reading/reading.ts'
import { SaleView } from './reading/sale-view.ts'
import { ShardedSales } from './reading/sharded-sales.ts'
import { referenceRoutes } from './reference/reference.ts'
import { sellingRoutes, statusRoutes } from './routes.ts'
import { SaleRotation } from './selling/sale-rotation.ts'
import { saleSettings } from './selling/sales.ts'
import { SellingMetrics } from './selling/selling-metrics.ts'
import type { Shard } from './selling/shard.ts'
import { Shards } from './selling/shards.ts'
import { registerWorkerGauges } from './worker-gauges.ts'

const ownProcess = { process: 'http', number: processNumber() } as const

/** The assembly point: everything of an HTTP worker but the process that it runs in. */
export class HttpWorker {
  readonly registry = new Registry()
  readonly shards: Shards
  readonly #config: Config
  readonly #phase: Phase
  readonly #judge: () => WorkerHealth
  readonly #rotation: SaleRotation
  readonly #board: Board
  readonly #reading: Reading
  readonly #readiness: Readiness
  readonly #server: HttpServer
  readonly #buyers: SignedBuyers | undefined
  readonly #tracing: Tracing | undefined
  /** Shards that its start waits for. */
  #opening: readonly Shard[] = []

  /** @param options.primaryAnswersProbes false: it is of a version before, and the worker speaks for itself */
  constructor(config: Config, log: Log, { primaryAnswersProbes = true } = {}) {
    const { registry } = this
    const { app, shardCount: count } = config
    const intervalMs = app.saleIntervalSeconds * 1_000
    const turnClock = new TurnClock()
    const metrics = new SellingMetrics(registry, count, { waitsForReplicas: app.ack === 'replica' })
    const onUnlisted = (sale: number, shard: number) => rotation.reopen(sale, shard)
    const tracing = tracingOf(config, { registry, log, process: ownProcess })
    const shards = new Shards({ count, config, log, metrics, turnClock, tracing, onUnlisted })
    const { all, clock, directory } = shards
    const rotation = new SaleRotation({ shards: all, clock, directory, log, settings: saleSettings(config) })

    const sales = new ShardedSales({ shards: all, directory, onUnlisted })
    const saleView = new SaleView({ sales, clock, intervalMs, onUnlisted })
    for (const shard of all) shard.onLooked(() => (shard === shards.reader ? saleView.refresh() : Promise.resolve()))
    const board = new Board({ shards: all, clock, intervalMs, refusal: shards.readRefusal, registry })
    this.#buyers = signedBuyers(config, registry)
    const reading = new Reading(config, {
      sales,
      shards: all,
      clock,
      refusal: shards.readRefusal,
      currentSale: () => rotation.current,
      onFault: (code) => metrics.fault(code),
      isSellingBusy: () => shards.commandsWaiting >= batchOverlapCommandsMin,
      registry,
    })
    const phase = new Phase()
    const factsOf = (shard: Shard) => ({
      ...shard.facts,
      shard: shard.number,
      isDraining: phase.isDraining,
      backlogMax: app.logBacklogMax,
      needsPostgres: app.ack === 'postgres',
      sale: rotation.current,
      isSaleOpen: rotation.isOpenAt(shard.number),
      keys: this.#buyers?.keysFacts,
    })
    const judge = (): WorkerHealth =>
      shards.only === undefined ? judgeShards(all.map(factsOf)) : judgeHealth(factsOf(shards.only))
    const readiness = new Readiness({ health: judge, send: primaryAnswersProbes ? sendToPrimary : () => false })

    const routes = [
      ...sellingRoutes({ shards, turnClock, metrics, onUnlisted, tracing }),
      ...statusRoutes({ refusal: shards.readRefusal, saleView, readiness }),
      ...reading.routes,
      ...board.routes,
      ...referenceRoutes({ ...referenceFacts(config), sale: () => rotation.current }),
    ]
    const requests = new RequestMetrics(registry, routeLabels(routes), count)
    const door = { connections: boundConnections(registry, app, log), buyers: this.#buyers, ...doorOf(app) }
    const server = new HttpServer({ routes, metrics: requests, clock: turnClock, phase, board, ...door })
    registerGauges(registry, { shards, server, saleView, connections: door.connections })

    this.#config = config
    this.#phase = phase
    this.#judge = judge
    this.shards = shards
    this.#rotation = rotation
    this.#board = board
    this.#reading = reading
    this.#readiness = readiness
    this.#server = server
    this.#tracing = tracing
  }

  /**
   * Resolves when it listens, some shard's Redis has answered, and the current sale was asked for. The other shards are tried
   * on.
   * @param onAccepting called before it listens
   * @throws Fault HC_PORT_IN_USE
   */
  async start(onAccepting: () => void): Promise<void> {
    const { all } = this.shards
    this.#opening = all
    // Redis and the sale before the port: from the moment it listens this worker gets its share of the connections,
    // and would turn away what its siblings could sell. But one attempt only: where Redis is away, a worker that
    // replaces a dead one must be there to say so.
    const opened = await Promise.all(all.map((shard) => shard.open()))
    const missing = all.filter((_, place) => opened[place] === false)
    const isNoneThere = missing.length === all.length
    if (isNoneThere) this.#opening = missing
    else await this.#rotation.start()
    await Promise.all([this.#buyers?.haveKeys, this.#tracing?.open()])
    if (this.#phase.isDraining) return
    onAccepting()
    await this.#server.listen(this.#config.app.host, this.#config.app.port)
    const arrivals = missing.map(async (shard) => {
      await shard.openAtLast()
      return shard
    })
    if (isNoneThere) {
      await Promise.race(arrivals)
      await this.#rotation.start()
    }
    this.#opening = []
    for (const shard of all) if (!missing.includes(shard)) shard.watch()
    for (const arrival of arrivals) void arrival.then((shard) => shard.watch())
  }

  /** What its start waits for; undefined when it waits for nothing that could be away. */
  get waitsFor(): Shard['waitsFor'] | undefined {
    return this.#opening[0]?.waitsFor
  }

  get health(): WorkerHealth {
    return this.#judge()
  }

  /** The primary has asked all workers how they are. */
  probed(id: number, round: HealthRound): void {
    this.#readiness.probed(id, round)
  }

  /** What the primary says of a shard. */
  primarySays(shard: number, state: ShardState): void {
    this.shards.all[shard]?.primarySays(state)
  }

  /** The keys that tokens are checked with. */
  takeKeys(message: TokenKeysMessage): void {
    this.#buyers?.takeKeys(message)
  }

  /** Finishes what was accepted, and closes. Everything is answered when it resolves. */
  drain(): Promise<void> {
    this.#reading.endWaits()
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
    await this.shards.idle()
    await this.#close()
  }

  /** The same with a deadline, and turning away what comes. */
  async stop(ms: number): Promise<void> {
    this.#rotation.stop()
    for (const shard of this.shards.all) shard.giveUpUncommitted()
    this.#readiness.close()
    this.#board.close()
    this.#reading.endWaits()
    await this.#server.stop(ms)
    await this.#close()
  }

  async #close(): Promise<void> {
    this.#buyers?.close()
    this.shards.close()
    void this.#reading.close()
    await this.#tracing?.close()
  }
}

function registerGauges(
  registry: Registry,
  parts: {
    readonly shards: Shards
    readonly server: HttpServer
    readonly saleView: SaleView
    readonly connections: Connections
  },
): void {
  const { shards, server, saleView, connections } = parts
  registerProcessMetrics(registry, ownProcess)
  registerWorkerGauges(registry, {
    shards: shards.all,
    rightsSeekers: () => shards.rights.seekers,
    connections: () => connections.open,
    refusalsWaiting: () => server.refusalsWaiting,
    saleItems: () => saleView.items,
  })
}

/** Whom the settings let in: how often an address may ask, and which pages may read the answers. */
function doorOf({ rateLimitPerSecond, allowedOrigins }: Config['app']) {
  return {
    rateLimit: rateLimitPerSecond === 0 ? undefined : new RateLimit(rateLimitPerSecond, 'address'),
    cors: allowedOrigins === '' ? undefined : new Cors(listedOrigins(allowedOrigins)),
  }
}

function signedBuyers(config: Config, registry: Registry): SignedBuyers | undefined {
  if (config.buyers.mode === 'open') return undefined
  return new SignedBuyers({ config, registry, askForKeys: () => sendToPrimary({ type: 'key_unknown' }) })
}

function referenceFacts({ app, buyers }: Config) {
  return { version: packageVersion(), baseUrl: `http://localhost:${app.port}`, isSigned: buyers.mode === 'signed' }
}

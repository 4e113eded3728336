import { Counter, type Registry } from 'prom-client'
import { type FaultCode, faultTitles } from '../../../core/faults.ts'
import { type Outcome, outcomeNames, outcomes } from '../../../core/outcomes.ts'
import { shardNumbers } from '../../../core/shards.ts'
import { CountsByShard } from '../http/counts-by-shard.ts'
import { FlatHistogram } from '../http/flat-histogram.ts'
import { type RoundResult, roundResults } from './rights-round.ts'

const batchBoundsCommands = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
const redisBoundsSeconds = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 3]

/** Outcome -> its place in `outcomeNames`. */
const outcomePlaces = new Map(outcomeNames.map((name, place) => [name, place]))

/** What the worker counts about decisions: in flat arrays, as RequestMetrics does and for its reason. */
export class SellingMetrics {
  readonly #outcomes = new Float64Array(outcomeNames.length)
  readonly #faults: CountsByShard<FaultCode>
  readonly #batchCommands: FlatHistogram
  readonly #redisSeconds: FlatHistogram
  readonly #replicaSeconds: FlatHistogram | undefined
  #rightsAsked = 0
  readonly #rightsRounds: Record<RoundResult, number> = { lent: 0, refused: 0, failed: 0 }

  /** With one shard there are no series of shards, and none of what shards do together. @param options.waitsForReplicas APP_ACK=replica */
  constructor(registry: Registry, shardCount = 1, { waitsForReplicas = false } = {}) {
    const series = shardCount === 1 ? [{}] : shardNumbers(shardCount).map((shard) => ({ shard: String(shard) }))
    this.#batchCommands = new FlatHistogram({
      name: 'hotcakes_batch_commands',
      help: 'Commands in one call of Redis.',
      registry,
      bounds: batchBoundsCommands,
      series,
    })
    this.#redisSeconds = new FlatHistogram({
      name: 'hotcakes_redis_batch_duration_seconds',
      help: 'Time from sending a batch to Redis to its answer.',
      registry,
      bounds: redisBoundsSeconds,
      series,
    })
    this.#faults = new CountsByShard(Object.keys(faultTitles) as FaultCode[], shardCount)
    this.#replicaSeconds = waitsForReplicas
      ? new FlatHistogram({
          name: 'hotcakes_replica_wait_seconds',
          help: 'Time from the decision on a batch until all replicas had it (APP_ACK=replica).',
          registry,
          bounds: redisBoundsSeconds,
          series,
        })
      : undefined
    this.#publishOutcomes(registry)
    this.#publishFaults(registry)
    if (shardCount > 1) this.#publishRights(registry)
  }

  decided(outcome: Outcome): void {
    const at = outcomePlaces.get(outcome) as number
    this.#outcomes[at] = (this.#outcomes[at] as number) + 1
  }

  batch(shard: number, commandCount: number, seconds: number): void {
    this.#batchCommands.observeAt(shard, commandCount)
    this.#redisSeconds.observeAt(shard, seconds)
  }

  /** All replicas have a batch. */
  replicated(shard: number, seconds: number): void {
    this.#replicaSeconds?.observeAt(shard, seconds)
  }

  /** Shards were asked for so many of buyers' rights. */
  rightsAsked(loans: number): void {
    this.#rightsAsked += loans
  }

  /** A checkout for which shards were asked has its end. */
  rightsRound(result: RoundResult): void {
    this.#rightsRounds[result] += 1
  }

  /**
   * Once a failed call of Redis, however many requests waited for it.
   * @param shard undefined: it is of Postgres, or came up in a read
   */
  fault(code: FaultCode, shard?: number): void {
    this.#faults.add(code, shard)
  }

  /**
   * Not by shard: items are dealt out one by one, so each shard has the same share of each outcome, at 23 series a shard.
   * How much each decides hotcakes_batch_commands says.
   */
  #publishOutcomes(registry: Registry): void {
    const counts = this.#outcomes
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_outcomes_total',
        help: 'Decisions of Redis that this server asked for.',
        labelNames: ['operation', 'outcome'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const [place, outcome] of outcomeNames.entries()) {
            this.inc({ operation: outcomes[outcome].operation, outcome }, counts[place] as number)
          }
        },
      }),
    )
  }

  #publishFaults(registry: Registry): void {
    const faults = this.#faults
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_faults_total',
        help: 'Faults of the world around this server, by code, and by shard where there are several.',
        labelNames: ['code', 'shard'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const { key: code, shard, count } of faults.series()) if (count > 0) this.inc({ code, ...shard }, count)
        },
      }),
    )
  }

  #publishRights(registry: Registry): void {
    const asked = () => this.#rightsAsked
    const rounds = this.#rightsRounds
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_rights_asked_total',
        help: "Times that a shard was asked for one of a buyer's rights.",
        registers: [],
        collect() {
          this.reset()
          this.inc(asked())
        },
      }),
    )
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_rights_rounds_total',
        help: 'Checkouts whose buyer had no right in the shard of the item, so that others were asked, by how that ended.',
        labelNames: ['result'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const result of roundResults) this.inc({ result }, rounds[result])
        },
      }),
    )
  }
}

import type { LogPosition } from '../../core/log-position.ts'
import { shardNumbers } from '../../core/shards.ts'
import { eventually } from '../helpers/eventually.ts'
import type { RedisCluster } from '../helpers/redis-cluster.ts'
import type { Loss } from './evidence.ts'

interface Known {
  /** Their ids, by shard. */
  readonly masters: readonly string[]
  /** How far the shards' logs were in Postgres. */
  readonly committed: readonly LogPosition[]
  readonly atMs: number
}

export interface KnownMastersOptions {
  readonly nodes: RedisCluster
  readonly shards: number
  readonly committed: (shard: number) => Promise<LogPosition>
}

/**
 * Notices masters that were replaced without a fault. On a machine that is busy enough a master is taken for dead that is not,
 * and its replica may lack something, as it may after a fault: that is none of the server's, and what it excuses is as exact.
 */
export class KnownMasters {
  readonly #options: KnownMastersOptions
  #known: Known | undefined
  readonly #handedOver = new Set<number>()

  constructor(options: KnownMastersOptions) {
    this.#options = options
  }

  /** These shards are led to other masters, which lose nothing. */
  handOver(shards: readonly number[]): void {
    for (const shard of shards) this.#handedOver.add(shard)
  }

  /** Since it was last asked. @param noted what is known to have been lost anyway */
  async replaced(noted: readonly Loss[]): Promise<Loss[]> {
    const { nodes, shards, committed } = this.#options
    const numbers = shardNumbers(shards)
    const masters = await eventually(() => Promise.all(numbers.map((shard) => nodes.masterOf(shard))))
    const now = {
      masters: masters.map(({ id }) => id),
      committed: await Promise.all(numbers.map(committed)),
      atMs: performance.now(),
    }
    const before = this.#known ?? now
    const isNoted = (shard: number) => noted.some((loss) => loss.shard === shard && loss.begunMs > before.atMs)
    const replaced = numbers.filter((shard) => {
      return before.masters[shard] !== now.masters[shard] && !this.#handedOver.has(shard) && !isNoted(shard)
    })
    this.#known = now
    this.#handedOver.clear()
    return replaced.map((shard) => {
      const position = before.committed[shard] as LogPosition
      return {
        shard,
        committed: position,
        begunMs: before.atMs,
        doneMs: now.atMs,
        withReplicas: false,
        recoveredMs: now.atMs,
      }
    })
  }
}

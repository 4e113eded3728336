import { formatLogPosition, type LogPosition } from '../core/log-position.ts'
import { placePrefix } from '../core/shards.ts'
import type { Tracing } from '../core/tracing/tracing.ts'
import { type CopiedChunk, rowCount } from './copied-chunk.ts'

/**
 * The span of a transaction. The log has no trace ids: a request's span and this one meet in the log's positions, which a search
 * for attributes finds. There are some a second, so none is left out.
 */
export class CommitTracing {
  readonly #tracing: Tracing
  readonly #shard: number

  constructor(tracing: Tracing, shard: number) {
    this.#tracing = tracing
    this.#shard = shard
  }

  /** @param after the position of the last entry before those that were copied */
  committed(after: LogPosition, copied: CopiedChunk, startedMs: number): void {
    const { spans } = this.#tracing
    if (!spans.isOn) return
    const place = (position: LogPosition) => `${placePrefix(this.#shard)}${formatLogPosition(position)}`
    const attributes = {
      'db.system.name': 'postgresql',
      'hotcakes.shard': this.#shard,
      'hotcakes.log.after': place(after),
      'hotcakes.log.position': place(copied.through),
      'hotcakes.log.entries': copied.entries,
      'hotcakes.rows': rowCount(copied),
    }
    spans.own('commit', { kind: 'client', startedMs, attributes }).end(performance.now())
  }
}

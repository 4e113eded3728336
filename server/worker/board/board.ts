import { Gauge, type Registry } from 'prom-client'
import type { Route } from '../http/http-server.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import type { TemplatedApp } from '../http/uws.ts'
import type { RedisClock } from '../selling/redis-clock.ts'
import type { Shard } from '../selling/shard.ts'
import { BoardFeed } from './board-feed.ts'
import { boardRoutes } from './board-files.ts'
import { BoardPolls, boardStatePath } from './board-polls.ts'
import { BoardSocket } from './board-socket.ts'

export interface BoardOptions {
  readonly shards: readonly Pick<Shard, 'number' | 'store' | 'clock' | 'isAnswering' | 'isReadable' | 'onLost'>[]
  readonly clock: Pick<RedisClock, 'now'>
  readonly intervalMs: number
  /** Why nothing that Redis holds is read. */
  readonly refusal: () => ShedReason | undefined
  readonly registry: Registry
}

/** The live sale board on this worker: the page, its viewers, and what they are told. */
export class Board {
  readonly routes: readonly Route[]
  readonly #socket = new BoardSocket()
  readonly #feed: BoardFeed

  constructor({ shards, clock, intervalMs, refusal, registry }: BoardOptions) {
    const feed = new BoardFeed({
      shards,
      clock,
      intervalMs,
      publish: (message) => this.#socket.publish(message),
      onLooked: () => polls.answerWaiting(),
    })
    const polls = new BoardPolls(feed)
    this.#feed = feed
    this.routes = [...boardRoutes(), { path: boardStatePath, method: 'GET', refusal, handle: polls.handle }]
    for (const shard of shards) shard.onLost(() => feed.forget())
    registry.registerMetric(
      new Gauge({
        name: 'hotcakes_board_viewers',
        help: 'Open sale boards: pages that are told live what is held and sold.',
        registers: [],
        collect() {
          this.set(feed.viewers)
        },
      }),
    )
  }

  attach(app: TemplatedApp, onClosed: () => void): void {
    const feed = this.#feed
    this.#socket.attach(app, { onJoin: () => feed.join(), onLeave: () => feed.leave(), onClosed })
  }

  /** Sends the viewers to other workers. */
  close(): void {
    this.#socket.close()
    this.#feed.endPolls()
  }
}

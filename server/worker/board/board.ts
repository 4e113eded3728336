import { Gauge, type Registry } from 'prom-client'
import type { SaleStore } from '../../../core/redis/sale-store.ts'
import type { Route } from '../http/http-server.ts'
import type { TemplatedApp } from '../http/uws.ts'
import type { RedisClock } from '../selling/redis-clock.ts'
import { BoardFeed } from './board-feed.ts'
import { boardRoutes } from './board-files.ts'
import { BoardSocket } from './board-socket.ts'

export interface BoardOptions {
  readonly store: SaleStore
  readonly clock: RedisClock
  readonly intervalMs: number
  readonly registry: Registry
}

/** The live sale board on this worker: the page, its viewers, and what they are told. */
export class Board {
  readonly routes: readonly Route[] = boardRoutes()
  readonly #socket: BoardSocket
  readonly #feed: BoardFeed

  constructor({ store, clock, intervalMs, registry }: BoardOptions) {
    const feed = new BoardFeed({ store, clock, intervalMs, publish: (message) => this.#socket.publish(message) })
    this.#feed = feed
    this.#socket = new BoardSocket({ onJoin: () => feed.join(), onLeave: () => feed.leave() })
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
    this.#socket.attach(app, onClosed)
  }

  redisLost(): void {
    this.#feed.forget()
  }

  /** Sends the viewers to other workers. */
  close(): void {
    this.#socket.close()
  }
}

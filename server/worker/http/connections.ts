import assert from 'node:assert/strict'

import { Counter, Gauge, type Registry } from 'prom-client'

import type { Config } from '../../../core/config/load.ts'
import type { Log } from '../../../core/log.ts'
import { AddressCounts } from './address-counts.ts'
import { connectionsPossible } from './descriptor-limit.ts'
import { HeldConnections, type NewConnection } from './held-connections.ts'
import { connectionsByAddress } from './socket-table.ts'

const bounds = ['worker', 'address', 'wait'] as const

/** The connections of a worker, whether it takes another one, and when that begins. */
export class Connections {
  readonly #max: number
  readonly #addresses: AddressCounts | undefined
  readonly #held = new HeldConnections()
  readonly #refused = { worker: 0, address: 0 }
  #open = 0
  #accepted = 0

  /** @param options.addresses `undefined`: one address may have any number */
  constructor(registry: Registry, options: { max: number; addresses: AddressCounts | undefined }) {
    this.#max = options.max
    this.#addresses = options.addresses
    this.#register(registry)
  }

  get open(): number {
    return this.#open
  }

  /** Counts a new connection, which begins at its turn; or it is one too many, and is closed soon, which counts it down again. */
  opened(connection: NewConnection): void {
    this.#open += 1
    this.#accepted += 1
    const bound = this.#boundReached(connection)
    if (bound === undefined) this.#held.arrived(connection)
    else {
      this.#refused[bound] += 1
      this.#held.refuse(connection)
    }
  }

  /** The worker is going: those that wait begin now, and none waits from now on. */
  release(): void {
    this.#held.release()
  }

  /** Also from the close handler of a WebSocket: uWebSockets.js' filter isn't told of the end of an upgraded connection. */
  closed(): void {
    this.#open -= 1
    assert(this.#open >= 0, 'a connection is closed once')
  }

  #boundReached(client: Pick<NewConnection, 'getRemoteAddress'>): 'worker' | 'address' | undefined {
    if (this.#open - this.#held.refusedWaiting > this.#max) return 'worker'
    if (this.#addresses === undefined || this.#addresses.opened(client.getRemoteAddress())) return undefined
    return 'address'
  }

  #register(registry: Registry): void {
    const read = () => ({
      accepted: this.#accepted,
      refused: { ...this.#refused, wait: this.#held.late },
      waiting: this.#held.count,
    })
    const accepted = new Counter({
      name: 'hotcakes_http_connections_accepted_total',
      help: 'Client connections that came, with those that were refused.',
      registers: [],
      collect() {
        this.reset()
        this.inc(read().accepted)
      },
    })
    const refused = new Counter({
      name: 'hotcakes_http_connections_refused_total',
      help: 'Connections closed without being read because the worker, or their address, had as many as it may have; wait: whose turn did not come in time.',
      labelNames: ['bound'] as const,
      registers: [],
      collect() {
        this.reset()
        const counts = read().refused
        for (const bound of bounds) this.inc({ bound }, counts[bound])
      },
    })
    const waiting = new Gauge({
      name: 'hotcakes_http_connections_waiting',
      help: 'Client connections that nothing was read of yet: those of a crowd begin a few at a time.',
      registers: [],
      collect() {
        this.set(read().waiting)
      },
    })
    for (const metric of [accepted, refused, waiting]) registry.registerMetric(metric)
  }
}

/** As the settings say, or as far as the system lets this process open files. */
export function boundConnections(registry: Registry, app: Config['app'], log: Log): Connections {
  const { connectionsMax, connectionsPerAddressMax: perAddressMax, port, workers } = app
  const max = connectionsPossible(connectionsMax)
  if (max < connectionsMax) log.warn({ connections: max }, 'fewer open files than APP_CONNECTIONS_MAX')
  const look = () => connectionsByAddress(port)
  const addresses = perAddressMax === 0 ? undefined : new AddressCounts({ max: perAddressMax, workers, look })
  return new Connections(registry, { max, addresses })
}

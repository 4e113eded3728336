import { connect, Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import { AbstractConnector, type RedisOptions } from 'ioredis'

import type { NodeAddress } from '../config/cluster-nodes.ts'
import { clusterDisconnectMsMax } from '../limits.ts'
import type { ClusterMap, ShardMaster } from './cluster-map.ts'
import { type RedisEncryption, tlsOptions } from './tls-options.ts'

export interface MasterConnectorOptions extends RedisEncryption {
  readonly map: ClusterMap
  readonly shard: number
  /** At each attempt: where it leads. */
  readonly onMaster: (address: NodeAddress) => void
}

/**
 * Has a connection of ioredis lead to the master that has the shard, looked up at each attempt to connect.
 *
 * It is a Connector, as ioredis' support of Sentinel is one. To change `redis.options` before a reconnection would be
 * shorter, but nothing is called between the end of a connection and the next attempt that may wait for a look-up. And
 * ioredis' Cluster sends a command again after MOVED, ASK, TRYAGAIN and CLUSTERDOWN, which a batch must not be.
 */
export function masterConnector(options: MasterConnectorOptions): NonNullable<RedisOptions['Connector']> {
  return class extends MasterConnector {
    constructor() {
      super(options)
    }
  }
}

class MasterConnector extends AbstractConnector {
  readonly #options: MasterConnectorOptions

  constructor(options: MasterConnectorOptions) {
    super(clusterDisconnectMsMax)
    this.#options = options
  }

  override async connect(): Promise<Socket | TLSSocket> {
    const { map, shard, onMaster } = this.#options
    this.connecting = true
    delete this.firstError
    let master: ShardMaster
    try {
      master = await map.masterOf(shard)
    } catch (error) {
      this.firstError = error as Error
      return closedStream()
    }
    if (!this.connecting) return closedStream() // disconnect() was called meanwhile
    onMaster(master.address)
    const stream = this.#open(master.address)
    this.stream = stream
    stream.once('error', (error) => {
      this.firstError = error
    })
    const unfollow = map.follow({ shard, master, onMoved: () => this.disconnect() })
    stream.once('close', unfollow)
    return stream
  }

  #open({ host, port }: NodeAddress): Socket | TLSSocket {
    const { tls } = this.#options
    return tls ? connectTls({ host, port, ...tlsOptions({ ...this.#options, host }) }) : connect({ host, port })
  }
}

/** What ioredis takes for an attempt that failed, with `firstError`. A rejection it takes for the end of all attempts. */
function closedStream(): Socket {
  return new Socket().destroy()
}

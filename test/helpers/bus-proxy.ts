import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

import type { Scope } from './scope.ts'

/** Where the name of the sender stands in a message of Redis Cluster's bus, and how long it is. */
const senderAt = 40
const idLength = 40

/**
 * The bus of a cluster, on which each node announces a port of this process: what the nodes say to each other comes through
 * here. So one can be cut off from the others while its clients reach it, which no signal and no right is needed for.
 */
export class BusProxy {
  readonly #servers: Server[] = []
  readonly #links = new Set<{ readonly from: string; readonly to: string; readonly sockets: readonly Socket[] }>()
  readonly #cut = new Set<string>()

  static open(scope: Scope): BusProxy {
    const proxy = new BusProxy()
    scope.after(() => proxy.#close())
    return proxy
  }

  /** A port that leads to a node's bus. `target` is asked when somebody connects. */
  async lead(target: () => { readonly id: string; readonly busPort: number }): Promise<number> {
    const server = createServer((socket) => this.#begin(socket, target))
    this.#servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  /** From now on nothing passes between the node and the others, either way. */
  cut(id: string): void {
    this.#cut.add(id)
    for (const { from, to, sockets } of this.#links) {
      if (from === id || to === id) for (const socket of sockets) socket.destroy()
    }
  }

  mend(id: string): void {
    this.#cut.delete(id)
  }

  /** The first message says who speaks: each link carries what one node asks, and the answers to it. */
  #begin(socket: Socket, target: () => { readonly id: string; readonly busPort: number }): void {
    socket.on('error', () => undefined)
    let first = Buffer.alloc(0)
    const read = (chunk: Buffer) => {
      first = Buffer.concat([first, chunk])
      if (first.length < senderAt + idLength) return
      socket.off('data', read)
      socket.pause()
      this.#link(socket, first, target())
    }
    socket.on('data', read)
  }

  #link(socket: Socket, first: Buffer, { id: to, busPort }: { readonly id: string; readonly busPort: number }): void {
    const from = first.toString('latin1', senderAt, senderAt + idLength)
    if (this.#cut.has(from) || this.#cut.has(to)) {
      socket.destroy()
      return
    }
    const upstream = connect(busPort, '127.0.0.1')
    const link = { from, to, sockets: [socket, upstream] }
    this.#links.add(link)
    for (const one of link.sockets) {
      one.on('error', () => undefined)
      one.on('close', () => {
        this.#links.delete(link)
        for (const each of link.sockets) each.destroy()
      })
    }
    upstream.write(first)
    socket.pipe(upstream).pipe(socket)
  }

  #close(): void {
    for (const server of this.#servers) server.close()
    for (const { sockets } of this.#links) for (const socket of sockets) socket.destroy()
  }
}

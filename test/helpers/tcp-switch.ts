import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

import type { Scope } from './scope.ts'

/** An address that leads to one service, and from some moment on to another: what a failover looks like to a client. */
export interface TcpSwitch {
  readonly port: number
  /** Breaks all connections; new ones lead to this port. */
  leadTo(port: number): void
}

export async function startTcpSwitch(scope: Scope, first: number): Promise<TcpSwitch> {
  const sockets = new Set<Socket>()
  let port = first
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const breakAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  scope.after(() => {
    server.close()
    breakAll()
  })
  return {
    port: (server.address() as AddressInfo).port,
    leadTo: (other) => {
      port = other
      breakAll()
    },
  }
}

import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

import type { Scope } from './scope.ts'

/** An address that leads to one service, and from some moment on to another: what a failover looks like to a client. */
export interface TcpSwitch {
  readonly port: number
  /** New connections lead to this port. Those there are break, or stay where they are. */
  leadTo(port: number, others?: 'break' | 'stay'): void
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
    leadTo: (other, others = 'break') => {
      port = other
      if (others === 'break') breakAll()
    },
  }
}

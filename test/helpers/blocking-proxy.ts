import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

import type { Scope } from './scope.ts'

/** A proxy that knows no WebSockets, as they stand in companies: it answers an upgrade with 403, and passes on all else. */
export class BlockingProxy {
  readonly #port: number
  /** `false`: upgrades are passed on too. */
  isBlocking = true
  /** Upgrades that it has refused so far. */
  refused = 0
  baseUrl = ''

  private constructor(port: number) {
    this.#port = port
  }

  static async start(scope: Scope, port: number): Promise<BlockingProxy> {
    const proxy = new BlockingProxy(port)
    const server = createServer((asked, reply) => {
      const { method, url, headers } = asked
      const passed = request({ port, host: '127.0.0.1', method, path: url, headers, agent: false }, (answer) => {
        reply.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(reply)
      })
      passed.on('error', () => reply.destroy())
      asked.pipe(passed)
    })
    server.on('upgrade', (asked, socket, head) => proxy.#upgrade(asked, socket, head))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    scope.after(() => {
      server.closeAllConnections()
      server.close()
    })
    proxy.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return proxy
  }

  #upgrade({ url, headers }: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined) // a reset is an end like another
    if (this.isBlocking) {
      this.refused += 1
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    const passed = request({ port: this.#port, host: '127.0.0.1', path: url, headers, agent: false })
    passed.on('error', () => socket.destroy())
    passed.on('upgrade', (answer, server: Duplex, first) => {
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`)
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`)
      socket.write(first)
      server.on('error', () => socket.destroy())
      server.on('close', () => socket.destroy())
      socket.on('close', () => server.destroy())
      socket.pipe(server)
      server.pipe(socket)
    })
    passed.end(head)
  }
}

import { connect, type Socket } from 'node:net'

/** Answers by their statuses. */
export type Counts = Record<string, number>

export interface LoopOptions {
  readonly port: number
  readonly connections: number
  /** Where a connection comes from, by its number. */
  readonly from: (connection: number) => string
  /** The next request. */
  readonly next: () => string
}

/** Connections that each send a request after the answer to the last one, until they are stopped. */
export class ClosedLoop {
  readonly counts: Counts = {}
  readonly #options: LoopOptions
  readonly #sockets: Socket[] = []
  #isStopped = false

  constructor(options: LoopOptions) {
    this.#options = options
    for (let number = 0; number < options.connections; number++) this.#open(options.from(number))
  }

  stop(): Counts {
    this.#isStopped = true
    for (const socket of this.#sockets) socket.destroy()
    return this.counts
  }

  #open(localAddress: string): void {
    const { port, next } = this.#options
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    this.#sockets.push(socket)
    let received = ''
    socket.setEncoding('latin1').setNoDelay(true)
    socket.on('connect', () => socket.write(next()))
    socket.on('error', () => undefined) // counted as what follows it: no answer
    socket.on('close', () => {
      if (!this.#isStopped) this.#count('closed')
    })
    socket.on('data', (text: string) => {
      received += text
      const headEnd = received.indexOf('\r\n\r\n')
      if (headEnd < 0) return
      const length = Number(/content-length: *(\d+)/i.exec(received)?.[1] ?? 0)
      if (received.length < headEnd + 4 + length) return
      this.#count(received.slice(9, 12))
      received = ''
      if (!this.#isStopped) socket.write(next())
    })
  }

  #count(status: string): void {
    this.counts[status] = (this.counts[status] ?? 0) + 1
  }
}

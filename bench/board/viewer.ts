import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Socket } from 'node:net'

const opcodes = { binary: 2, close: 8, ping: 9, pong: 10 } as const

/** Frames of a server: whole messages, never masked. */
interface Frame {
  readonly opcode: number
  readonly payload: Buffer
  readonly length: number
}

/** A page's WebSocket without the page: as much of the protocol as the board speaks, and as little work as can be. */
export class Viewer {
  readonly #socket: Socket
  readonly #onMessage: (message: Buffer) => void
  #received: Buffer = Buffer.alloc(0)
  isClosed = false

  private constructor(socket: Socket, onMessage: (message: Buffer) => void) {
    this.#socket = socket
    this.#onMessage = onMessage
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('close', () => (this.isClosed = true))
    socket.on('error', () => undefined) // a reset is a way to be closed
  }

  /** @param more headers; @throws Error with the status of an answer that is no upgrade */
  static open(
    url: string,
    onMessage: (message: Buffer) => void,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Viewer> {
    const headers = {
      ...more,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    }
    return new Promise((resolve, reject) => {
      const upgrade = request(url, { headers, agent: false })
      upgrade.on('upgrade', (_reply, socket: Socket, head: Buffer) => {
        const viewer = new Viewer(socket, onMessage)
        viewer.#take(head)
        resolve(viewer)
      })
      upgrade.on('response', (reply) => {
        reply.resume()
        reject(new Error(`answered ${reply.statusCode ?? 0}`))
      })
      upgrade.on('error', reject)
      upgrade.end()
    })
  }

  /** Takes nothing in any more: what it is sent waits in the server. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes])
    for (let frame = firstFrame(this.#received); frame !== undefined; frame = firstFrame(this.#received)) {
      this.#received = this.#received.subarray(frame.length)
      if (frame.opcode === opcodes.binary) this.#onMessage(frame.payload)
      // What a client sends is masked, with zeros as well as with anything else.
      if (frame.opcode === opcodes.ping) this.#socket.write(Buffer.from([128 | opcodes.pong, 128, 0, 0, 0, 0]))
      if (frame.opcode === opcodes.close) this.#socket.end()
    }
  }
}

function firstFrame(bytes: Buffer): Frame | undefined {
  const short = (bytes[1] ?? 0) & 127
  const head = short === 127 ? 10 : short === 126 ? 4 : 2
  if (bytes.length < head) return undefined
  const size = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
  if (bytes.length < head + size) return undefined
  return { opcode: (bytes[0] ?? 0) & 15, payload: bytes.subarray(head, head + size), length: head + size }
}

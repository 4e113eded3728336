import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'

import { eventually, patienceMs } from './eventually.ts'
import type { HttpReply } from './http-client.ts'
import type { TestHttpWorker } from './http-worker.ts'
import type { Scope } from './scope.ts'

/** One TCP connection on which a test writes what it likes, byte for byte. */
export class RawConnection {
  readonly #socket: Socket
  #received = ''
  #isClosed = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1').on('data', (text: string) => (this.#received += text))
    socket.on('close', () => (this.#isClosed = true))
    socket.on('error', () => undefined) // a reset is a way to be closed, which is what tests ask for
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** What has come and is not part of a reply that was read. */
  get unread(): string {
    return this.#received
  }

  /** Forgets what has come: the reply to a HEAD, whose length belongs to a body that never comes. */
  discard(): void {
    this.#received = ''
  }

  /** One character a byte. Resolves when the kernel has it. */
  send(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(text, 'latin1', (error) => (error ? reject(error) : resolve()))
    })
  }

  /** The next reply. A connection that is closed before it is complete gives an error that says what came. */
  async reply(): Promise<HttpReply> {
    await this.#replyOrEnd()
    if (!this.#hasReply()) throw new Error(`closed after ${JSON.stringify(this.#received)}`)
    const head = this.#head()
    const text = this.#received.slice(head.length, head.length + contentLength(head))
    this.#received = this.#received.slice(head.length + text.length)
    const [statusLine = '', ...lines] = head.trimEnd().split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : undefined
    return { status: Number(statusLine.split(' ')[1]), headers, text, json }
  }

  /** Resolves when a whole reply is there, or none can come any more. Looks when something has come: polling would cost each reply its interval. */
  #replyOrEnd(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void): void => {
        clearTimeout(late)
        this.#socket.off('data', look).off('close', look)
        settled()
      }
      const look = (): void => {
        if (this.#isClosed || this.#hasReply()) settle(resolve)
      }
      const what = `no reply in ${patienceMs} ms`
      const late = setTimeout(() => settle(() => reject(new Error(what))), patienceMs)
      this.#socket.on('data', look).on('close', look)
      look()
    })
  }

  /** Takes nothing more out of the kernel: the client has stopped reading. */
  pause(): void {
    this.#socket.pause()
  }

  /** Closes this side alone: nothing more will be sent, an answer could still come. */
  end(): void {
    this.#socket.end()
  }

  /** Resets the connection: the client is gone. */
  destroy(): void {
    this.#socket.resetAndDestroy()
  }

  #head(): string {
    return this.#received.slice(0, this.#received.indexOf('\r\n\r\n') + 4)
  }

  #hasReply(): boolean {
    const head = this.#head()
    return head.endsWith('\r\n\r\n') && this.#received.length >= head.length + contentLength(head)
  }
}

function contentLength(head: string): number {
  return Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
}

/** @param localAddress another one of 127.0.0.0/8 makes it another client */
export function openConnection(scope: Scope, port: number, localAddress = '127.0.0.1'): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    scope.after(() => void socket.destroy())
    socket.on('error', reject)
    socket.on('connect', () => resolve(new RawConnection(socket.off('error', reject))))
  })
}

export function requestText(method: string, path: string, headers: readonly string[] = []): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: test', ...headers, '', ''].join('\r\n')
}

/**
 * POSTs all paths in the same instant, each on a connection of its own: they lie in the kernel before the worker gets
 * to run again, so it takes them in one turn of its event loop and has them decided in one batch.
 */
export async function postTogether(
  scope: Scope,
  worker: TestHttpWorker,
  paths: readonly string[],
): Promise<HttpReply[]> {
  const connections = await Promise.all(paths.map(() => openConnection(scope, worker.port)))
  for (const connection of connections) await connection.send(requestText('GET', '/livez'))
  for (const connection of connections) await connection.reply()
  await whileStopped(worker, async () => {
    for (const [n, path] of paths.entries()) await connections[n]?.send(requestText('POST', path))
  })
  return Promise.all(connections.map((connection) => connection.reply()))
}

/** Stops the worker process for the length of the action. */
export async function whileStopped(worker: TestHttpWorker, action: () => Promise<void>): Promise<void> {
  const { pid } = worker.process
  worker.process.kill('SIGSTOP')
  try {
    await eventually(() => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.startsWith('T'))
    await action()
  } finally {
    worker.process.kill('SIGCONT')
  }
}

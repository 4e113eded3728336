import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:http'

import type { Scope } from './scope.ts'

export interface HttpReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The parsed body, `undefined` when it is not JSON. Of any shape: what it must be is what the test asserts. */
  readonly json: Record<string, unknown> | undefined
}

interface RequestOptions {
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

/** For so long an idle connection is used again: a server that is late by seconds has not closed it yet. */
const idleMsMax = 2_000

/** Requests to one server over keep-alive connections. Never retries: a test must see what happened. */
export class HttpClient {
  readonly #baseUrl: string
  readonly #agent: Agent

  /** `connections`: most at once; further requests wait for one of them. `idleMsMax`: 0 is as long as the server keeps them. */
  constructor(scope: Scope, options: { baseUrl: string; connections?: number; idleMsMax?: number }) {
    this.#baseUrl = options.baseUrl
    // Workers close idle connections after 8 s, the primary after 5: an old one could be closed just as it is used.
    const { connections: maxSockets = 16, idleMsMax: timeout = idleMsMax } = options
    this.#agent = new Agent({ keepAlive: true, maxSockets, timeout })
    scope.after(() => this.close())
  }

  get(path: string, options?: RequestOptions): Promise<HttpReply> {
    return this.send('GET', path, options)
  }

  post(path: string, options?: RequestOptions): Promise<HttpReply> {
    return this.send('POST', path, options)
  }

  send(method: string, path: string, options: RequestOptions = {}): Promise<HttpReply> {
    return new Promise((resolve, reject) => {
      const { headers = {} } = options
      const outgoing = request(`${this.#baseUrl}${path}`, { method, agent: this.#agent, headers }, (incoming) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => (text += chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: parseJson(text) })
        })
      })
      outgoing.on('error', reject)
      outgoing.end(options.body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined // /metrics, an empty body
  }
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

import { Registry } from 'prom-client'

import { listenAt } from './port-check.ts'

export interface MetricsServer {
  close(): Promise<void>
}

/**
 * GET /metrics on a server of its own, so that a scrape is answered while the HTTP workers are busy, hung or gone.
 * @throws Fault HC_PORT_IN_USE | HC_CONFIG
 */
export async function serveMetrics(options: {
  host: string
  port: number
  /** The report in Prometheus' text format. */
  scrape: () => Promise<string>
  onError: (error: unknown) => void
}): Promise<MetricsServer> {
  const create = () =>
    createServer((request, response) => {
      answer(request, response, options.scrape).catch((error: unknown) => {
        options.onError(error)
        respond(response, { status: 500, text: 'the report could not be made\n' })
      })
    })
  const servers = await listenAt({ ...options, setting: 'APP_METRICS_PORT' }, create)
  return { close: () => Promise.all(servers.map(closed)).then(() => undefined) }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  scrape: () => Promise<string>,
): Promise<void> {
  const path = request.url?.split('?', 1)[0]
  if (path !== '/metrics') {
    respond(response, { status: 404, text: 'only /metrics is here\n' })
  } else if (request.method !== 'GET') {
    respond(response, { status: 405, text: 'only GET\n', headers: { allow: 'GET' } })
  } else {
    const headers = { 'content-type': Registry.PROMETHEUS_CONTENT_TYPE }
    respond(response, { status: 200, text: await scrape(), headers })
  }
}

function respond(
  response: ServerResponse,
  { status, text, headers = {} }: { status: number; text: string; headers?: Record<string, string> },
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers })
  response.end(text)
}

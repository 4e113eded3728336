import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

import { Registry } from 'prom-client'

import { operatorsRequestMsMax } from '../../core/limits.ts'
import { listenAt } from './port-check.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

export interface MetricsServer {
  close(): Promise<void>
}

/**
 * What is for operators and their programs, on a server of its own: GET /metrics, so that a scrape is answered while the HTTP
 * workers are busy, hung or gone, and GET /purchases.
 * @throws Fault HC_PORT_IN_USE | HC_CONFIG
 */
export async function serveMetrics(options: {
  host: string
  port: number
  /** The report in Prometheus' text format. */
  scrape: () => Promise<string>
  purchases: Handler
  onError: (error: unknown) => void
}): Promise<MetricsServer> {
  const metrics: Handler = (request, response) => answerScrape(request, response, options.scrape)
  const routes = new Map<string | undefined, Handler>([
    ['/metrics', metrics],
    ['/purchases', options.purchases],
  ])
  const bounds = { headersTimeout: operatorsRequestMsMax, requestTimeout: operatorsRequestMsMax }
  const create = () =>
    createServer(bounds, (request, response) => {
      const handler = routes.get(request.url?.split('?', 1)[0]) ?? answerUnknown
      handler(request, response).catch((error: unknown) => {
        options.onError(error)
        respond(response, { status: 500, text: 'the answer could not be made\n' })
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

async function answerScrape(
  request: IncomingMessage,
  response: ServerResponse,
  scrape: () => Promise<string>,
): Promise<void> {
  if (request.method !== 'GET') {
    respond(response, { status: 405, text: 'only GET\n', headers: { allow: 'GET' } })
  } else {
    const headers = { 'content-type': Registry.PROMETHEUS_CONTENT_TYPE }
    respond(response, { status: 200, text: await scrape(), headers })
  }
}

function answerUnknown(_request: IncomingMessage, response: ServerResponse): Promise<void> {
  respond(response, { status: 404, text: 'only /metrics and /purchases are here\n' })
  return Promise.resolve()
}

function respond(
  response: ServerResponse,
  { status, text, headers = {} }: { status: number; text: string; headers?: Record<string, string> },
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers })
  response.end(text)
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

import { Registry } from 'prom-client'

import { bindFault } from './port-check.ts'

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
  const server = createServer((request, response) => {
    answer(request, response, options.scrape).catch((error: unknown) => {
      options.onError(error)
      respond(response, { status: 500, text: 'the report could not be made\n' })
    })
  })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: options.host, port: options.port, exclusive: true }, resolve)
    })
  } catch (error) {
    throw bindFault(error as NodeJS.ErrnoException, { ...options, setting: 'APP_METRICS_PORT' })
  }
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
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

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

import type { Scope } from './scope.ts'

type Values = Readonly<Record<string, string | number>>

/** A span as it came, with its attributes by their names. */
export interface CollectedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  /** 2: server, 3: client. */
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly attributes: Values
  readonly resource: Values
}

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: string | number }
}

interface Attributed {
  readonly attributes?: readonly Attribute[]
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: Attributed
    readonly scopeSpans: readonly { readonly spans: readonly (Omit<CollectedSpan, 'attributes'> & Attributed)[] }[]
  }[]
}

/** What takes spans by OTLP over HTTP, as JSON. */
export interface TraceCollector {
  readonly url: string
  readonly spans: readonly CollectedSpan[]
  /** Every body, as it came. */
  readonly texts: readonly string[]
  readonly headers: readonly IncomingHttpHeaders[]
}

/** @param options.answer gives the status of an answer: 200 takes the spans */
export async function startCollector(
  scope: Scope,
  { answer = () => 200 }: { answer?: () => number | Promise<number> } = {},
): Promise<TraceCollector> {
  const spans: CollectedSpan[] = []
  const texts: string[] = []
  const headers: IncomingHttpHeaders[] = []
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request)
    const status = request.method === 'POST' && request.url === '/v1/traces' ? await answer() : 404
    if (status === 200) {
      texts.push(body)
      headers.push(request.headers)
      spans.push(...spansIn(JSON.parse(body) as TraceRequest))
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end('{}')
  }
  const server = createServer((request, response) => void take(request, response))
  scope.after(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, texts, headers }
}

function spansIn({ resourceSpans }: TraceRequest): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap((scope) =>
      scope.spans.map((span) => ({
        ...span,
        links: span.links ?? [],
        attributes: valuesOf(span),
        resource: valuesOf(resource),
      })),
    ),
  )
}

function valuesOf({ attributes = [] }: Attributed): Values {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]))
}

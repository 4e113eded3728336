import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import type { Exchange } from '../http/exchange.ts'
import type { Route } from '../http/http-server.ts'
import { replyHead } from '../http/replies.ts'
import { staticFile } from '../http/static-file.ts'
import { type DocumentFacts, openApiDocument } from './document.ts'

/** Beside the compiled file as beside this one: the build copies it. */
const folder = new URL('page/', import.meta.url)
const packageOf = createRequire(import.meta.url)

/** All of it comes from this server, and it asks no other one. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const documentHead = replyHead(200, '200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache')

export interface ReferenceFacts extends Omit<DocumentFacts, 'sale'> {
  /** The current sale's number, once it is known. */
  readonly sale: () => number | undefined
}

/** `GET /openapi.json`, and `GET /docs`, where people read it. */
export function referenceRoutes(facts: ReferenceFacts): Route[] {
  const files = [
    { path: '/docs', bytes: page('index.html'), mediaType: 'text/html; charset=utf-8' },
    { path: '/docs/start.mjs', bytes: page('start.browser.mjs'), mediaType: 'text/javascript; charset=utf-8' },
    { path: '/docs/swagger-ui.css', bytes: packaged('swagger-ui.css'), mediaType: 'text/css; charset=utf-8' },
    {
      path: '/docs/swagger-ui-bundle.js',
      bytes: packaged('swagger-ui-bundle.js'),
      mediaType: 'text/javascript; charset=utf-8',
    },
  ]
  return [
    { path: '/openapi.json', method: 'GET', handle: documentHandler(facts) },
    ...files.map(({ path, bytes, mediaType }): Route => {
      return { path, method: 'GET', isTagged: true, handle: staticFile(bytes, { mediaType, contentSecurityPolicy }) }
    }),
  ]
}

/** Written anew when another sale has opened: its examples name an item that can be had. */
function documentHandler({ sale: currentSale, ...facts }: ReferenceFacts): (exchange: Exchange) => void {
  let written = { sale: Number.NaN, text: '' }
  return (exchange) => {
    const sale = currentSale() ?? 0
    if (written.sale !== sale) written = { sale, text: openApiDocument({ ...facts, sale }) }
    exchange.answer(documentHead, written.text)
  }
}

function page(name: string): Buffer {
  return readFileSync(new URL(name, folder))
}

function packaged(name: string): Buffer {
  return readFileSync(packageOf.resolve(`swagger-ui-dist/${name}`))
}

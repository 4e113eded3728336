import { readFileSync } from 'node:fs'

import type { Exchange } from '../http/exchange.ts'
import type { Route } from '../http/http-server.ts'
import { replyHead } from '../http/replies.ts'
import { staticFile } from '../http/static-file.ts'
import type { ApiDocument } from './api-document.ts'
import { type DocumentFacts, openApiDocument } from './document.ts'
import { errorsPage } from './errors-page.ts'
import { referencePage } from './reference-page.ts'

/** Beside the compiled file as beside this one: the build copies all of it. */
const files = [
  { name: 'docs.css', folder: 'page/', mediaType: 'text/css; charset=utf-8' },
  { name: 'try.browser.mjs', path: 'try.mjs', folder: 'page/', mediaType: 'text/javascript; charset=utf-8' },
  { name: 'theme.css', folder: '../board/page/', mediaType: 'text/css; charset=utf-8' },
  { name: 'figtree.woff2', folder: '../board/page/', mediaType: 'font/woff2' },
  { name: 'fraunces.woff2', folder: '../board/page/', mediaType: 'font/woff2' },
] as const
const errorsFile = new URL('../../../docs/ERRORS.md', import.meta.url)

/** All of it comes from this server, and it asks no other one. Nothing that is written in a page runs or styles. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  'img-src data:',
  "font-src 'self'",
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

type Handler = (exchange: Exchange) => void

/** `GET /openapi.json`, and where people read it: `GET /docs`, and `GET /docs/errors`, to which `doc_url` leads. */
export function referenceRoutes({ sale, ...facts }: ReferenceFacts): Route[] {
  const ofSale = (write: (text: string) => Handler) =>
    writtenForSale(sale, (current) => write(openApiDocument({ ...facts, sale: current })))
  const reference = (text: string) => pageFile(referencePage(JSON.parse(text) as ApiDocument, facts.baseUrl))
  // Read now: a later build may put another version's in its place.
  const meanings = readFileSync(errorsFile, 'utf8')
  const errors = (text: string) => pageFile(errorsPage(meanings, JSON.parse(text) as ApiDocument))
  return [
    {
      path: '/openapi.json',
      method: 'GET',
      handle: ofSale((text) => (exchange) => exchange.answer(documentHead, text)),
    },
    { path: '/docs', method: 'GET', isTagged: true, handle: ofSale(reference) },
    { path: '/docs/errors', method: 'GET', isTagged: true, handle: ofSale(errors) },
    ...files.map((file): Route => {
      const { name, folder, mediaType } = file
      const bytes = readFileSync(new URL(folder + name, import.meta.url))
      const path = `/docs/${'path' in file ? file.path : name}`
      return { path, method: 'GET', isTagged: true, handle: staticFile(bytes, { mediaType, contentSecurityPolicy }) }
    }),
  ]
}

function pageFile(html: string): Handler {
  return staticFile(Buffer.from(html), { mediaType: 'text/html; charset=utf-8', contentSecurityPolicy })
}

/** Written when it is asked for, and anew when another sale has opened: its examples name an item that can be had. */
function writtenForSale(currentSale: () => number | undefined, write: (sale: number) => Handler): Handler {
  let written: { readonly sale: number; readonly handle: Handler } | undefined
  return (exchange) => {
    const sale = currentSale() ?? 0
    if (written?.sale !== sale) written = { sale, handle: write(sale) }
    written.handle(exchange)
  }
}

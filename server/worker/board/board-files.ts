import { readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'

import type { Exchange } from '../http/exchange.ts'
import type { Route } from '../http/http-server.ts'
import { staticFile } from '../http/static-file.ts'
import { HashedFiles } from './hashed-files.ts'

/** Beside the compiled file as beside this one: the build copies it. */
const folder = new URL('page/', import.meta.url)

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

/** The page gets everything from its own server, and nothing that is written in it runs or styles. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Path -> the document there. The one of past sales asks for the sale that its own address names. */
const documents = { '/': 'index.html', '/past-sales': 'past.html', '/past-sales/:id': 'past.html' } as const

type Answer = (exchange: Exchange) => void

/** The board's pages and their parts, read once: the parts are `/board/<name>`, where the name has their content's hash in it. */
export function boardRoutes(): Route[] {
  const names = readdirSync(folder).filter((name) => extname(name) in mediaTypes)
  const files = new HashedFiles(new Map(names.map((name) => [name, readFileSync(new URL(name, folder))])))
  const answerOf = (name: string, isImmutable: boolean): Answer => {
    const mediaType = mediaTypes[extname(name)] ?? ''
    return staticFile(files.bytes(name), { mediaType, contentSecurityPolicy, isImmutable })
  }
  const answers = new Map<string, { readonly current: Answer; readonly other: Answer; readonly hashed: string }>()
  for (const name of names) {
    const hashed = files.hashedName(name)
    answers.set(name, { hashed, current: answerOf(name, true), other: answerOf(name, false) })
  }
  // In a reload a page of one version may ask a worker of the other for its parts: it gets those that there are.
  const answerPart = (exchange: Exchange): void => {
    const part = answers.get(HashedFiles.nameOf(exchange.parameter))
    if (part === undefined || exchange.parameter.endsWith('.html')) exchange.problem('route_unknown')
    else if (exchange.parameter === part.hashed) part.current(exchange)
    else part.other(exchange)
  }
  const pages = Object.entries(documents).map(([path, name]): Route => {
    return { path, method: 'GET', isTagged: true, handle: answerOf(name, false) }
  })
  return [...pages, { path: '/board/:file', method: 'GET', isTagged: true, handle: answerPart }]
}

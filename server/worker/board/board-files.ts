import { readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'

import type { Route } from '../http/http-server.ts'
import { staticFile } from '../http/static-file.ts'

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

/** The files of the board's page, read once: `/` is its document, the others are `/board/<name>`. */
export function boardRoutes(): Route[] {
  return readdirSync(folder)
    .filter((name) => extname(name) in mediaTypes)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => ({
      path: name === 'index.html' ? '/' : `/board/${name}`,
      method: 'GET',
      isTagged: true,
      handle: staticFile(readFileSync(new URL(name, folder)), {
        mediaType: mediaTypes[extname(name)] ?? '',
        contentSecurityPolicy,
      }),
    }))
}

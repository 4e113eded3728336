import { largeFileBytesMin } from '../limits.ts'
import { entityTag, namesTag } from './entity-tag.ts'
import type { Exchange } from './exchange.ts'
import { replyHead } from './replies.ts'
import { SendBudget } from './send-budget.ts'

export interface StaticFileOptions {
  readonly mediaType: string
  readonly contentSecurityPolicy: string
}

/** Answers with a file that does not change while the server runs, or with 304 to whoever has it. For tagged routes. */
export function staticFile(bytes: Buffer, options: StaticFileOptions): (exchange: Exchange) => void {
  const tag = entityTag(bytes)
  const validity = [
    `ETag: ${tag}`,
    // Kept, and asked about each time: a new version of the server may have another one.
    'Cache-Control: no-cache',
    `Content-Security-Policy: ${options.contentSecurityPolicy}`,
    'X-Content-Type-Options: nosniff',
    'Referrer-Policy: no-referrer',
  ].join('\r\n')
  const ok = replyHead(200, `200 OK\r\nContent-Type: ${options.mediaType}\r\n${validity}`)
  const notModified = replyHead(304, `304 Not Modified\r\n${validity}`)
  const budget = bytes.length < largeFileBytesMin ? undefined : new SendBudget(bytes.length)
  return (exchange) => {
    if (namesTag(exchange.ifNoneMatch, tag)) exchange.answer(notModified, '')
    else if (budget === undefined || budget.takes(exchange.startedMs)) exchange.answer(ok, bytes)
    else exchange.shed('overloaded')
  }
}

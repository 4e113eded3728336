// The one file that knows autocannon's inside. autocannon keeps the connections, writes, parses and times out. Which
// request goes out, and when, is ours: its own requests are built anew for every send if they depend on an answer (some
// 10 us), its own rate sends a second's requests in one burst at the second's start, and its own correction for
// coordinated omission takes 1 ms for the interval between requests at whatever rate. So three methods of its client
// are replaced, of exactly the version in package.json; `assertKnown` fails loudly when they are no longer there.

import assert from 'node:assert/strict'
import type { Client } from 'autocannon'

/** What happens on one connection. */
export interface Wire {
  /** The next request, or `undefined`: nothing to send before `wake`. */
  next(): string | undefined
  /** @param reply the whole reply, as it came */
  answered(status: number, reply: Buffer): void
  /** The connection was lost, or the answer did not come in time. @param reason `timeout`, or the system's code */
  lost(reason: string): void
}

/** autocannon's own names for: send the next request, connect, give the bytes to send. */
const sendNext = '_doRequest'
const open = '_connect'
const bytesToSend = 'getRequestBuffer'

interface Inner extends Client {
  [sendNext]: () => void
  [open]: () => void
  [bytesToSend]: () => Buffer
}

/** After a connection failed the next attempt waits: a server that is away must not cost the machine a core. */
const reconnectMs = 100

/** Puts `wire` on a client, inside autocannon's `setupClient`. @returns what makes it send again */
export function attach(client: Client, wire: Wire, timeoutMs: number): () => void {
  const inner = client as Inner
  assertKnown(inner)
  const send = inner[sendNext]
  const connect = inner[open]
  let request: Buffer | undefined
  let sentMs = 0
  let replyParts: Buffer[] = []
  let failure: string | undefined
  let failedMs = -Infinity
  /** The answer said that the connection ends with it, as in a reload: what is sent behind it would be lost. */
  let isClosing = false

  // autocannon calls this after each answer, and again on each new connection, whatever became of the last request.
  inner[sendNext] = () => {
    if (request !== undefined) {
      const reason = performance.now() - sentMs >= timeoutMs ? 'timeout' : (failure ?? 'closed by the server')
      request = undefined
      wire.lost(reason)
    }
    failure = undefined
    replyParts = []
    if (isClosing) return
    const text = wire.next()
    if (text === undefined) return
    request = Buffer.from(text, 'latin1')
    sentMs = performance.now()
    send.call(inner)
  }
  inner[bytesToSend] = () => request as Buffer
  inner[open] = () => {
    isClosing = false
    const waitMs = failedMs + reconnectMs - performance.now()
    if (waitMs <= 0) connect.call(inner)
    else setTimeout(() => connect.call(inner), waitMs)
  }
  // Not in its types: what its parser has read.
  ;(client as NodeJS.EventEmitter).on('headers', ({ shouldKeepAlive }: { shouldKeepAlive: boolean }) => {
    isClosing = !shouldKeepAlive
  })
  client.on('body', (chunk) => replyParts.push(chunk))
  client.on('response', (status) => {
    request = undefined
    const [first = Buffer.alloc(0)] = replyParts
    wire.answered(status, replyParts.length === 1 ? first : Buffer.concat(replyParts))
  })
  // The client's own, before it connects again.
  ;(client as NodeJS.EventEmitter).on('connError', (error: NodeJS.ErrnoException) => {
    failure = error.code ?? error.message
    failedMs = performance.now()
  })
  return () => inner[sendNext]()
}

function assertKnown(client: Inner): void {
  for (const name of [sendNext, open, bytesToSend] as const)
    assert.equal(typeof client[name], 'function', `autocannon's client has no ${name} any more: see ${import.meta.url}`)
}

// The floor of a sell-out: a bare uWebSockets.js handler that knows of each item whether it is held or sold, and answers what
// hotcakes would. What its clients reach here is what they, the sockets and the parsing allow: nothing is kept, synced or
// recorded, there is no other worker, and no user's limit.
// usage: node sell-out-floor-server.js PORT ITEMS

import { nonceLength, parseCode, parseItemId } from '../../core/ids.ts'
import { type ProblemCode, problemReplies } from '../../server/worker/http/problems.ts'
import { checkoutBody, okHead, purchaseBody } from '../../server/worker/http/replies.ts'
import { App, type HttpResponse } from '../../server/worker/http/uws.ts'

const port = Number(process.argv[2])
const items = Number(process.argv[3])

const sale = 1
const held = 1
const sold = 2
/** By the item's index, which begins with 1. */
const states = new Uint8Array(items + 1)
const nonce = 'x'.repeat(nonceLength)
const laterMs = 86_400_000
const expiresAt = new Date(Date.now() + laterMs).toISOString()

function refuse(res: HttpResponse, code: ProblemCode): void {
  const { head, body } = problemReplies[code]
  res.writeStatus(head.lines).end(body)
}

function countOf(state: number): number {
  return states.reduce((count, each) => count + Number(each === state), 0)
}

App()
  .post('/checkout', (res, req) => {
    const user = req.getQuery('user_id')
    const item = parseItemId(req.getQuery('id') ?? '')
    if (!user || item === undefined) return refuse(res, 'invalid_request')
    const index = Number(item.index)
    if (states[index] === sold) return refuse(res, 'item_sold')
    if (states[index] === held) return refuse(res, 'item_held')
    states[index] = held
    res.writeStatus(okHead.lines).end(checkoutBody({ sale, index: item.index, nonce, expiresAt }))
  })
  .post('/purchase', (res, req) => {
    const code = parseCode(req.getQuery('code') ?? '')
    if (code === undefined) return refuse(res, 'invalid_request')
    states[Number(code.index)] = sold
    const body = purchaseBody({ sale, index: code.index, user: 'user-1000', purchasedAt: expiresAt })
    res.writeStatus(okHead.lines).end(body)
  })
  .get('/sale', (res) => {
    const counts = { held: countOf(held), sold: countOf(sold), available: countOf(0) - 1 }
    res.end(JSON.stringify({ id: sale, items, ...counts, closes_at: expiresAt }))
  })
  .any('/*', (res) => {
    res.end('{}')
  })
  .listen('127.0.0.1', port, (token) => {
    if (token === false) process.exitCode = 1
  })

process.on('SIGTERM', () => process.exit(0))
// A terminal's Ctrl+C reaches the whole process group; the parent alone decides what it means.
process.on('SIGINT', () => undefined)

// Posts every purchase to a URL, in the order of the record, at least once. Needs nothing but Node.js, so copy it and change it:
//   HOTCAKES=http://localhost:9090 WEBHOOK_URL=https://... WEBHOOK_SECRET=... CURSOR_FILE=cursor node dist/examples/webhook.js
// The receiver checks Webhook-Signature, the HMAC-SHA256 of "<Webhook-Timestamp>.<body>", and that the time is not long ago. It
// answers 2xx when it has the purchase for good, and leaves aside an Idempotency-Key that it has had.

import { createHmac } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const { HOTCAKES, WEBHOOK_URL, WEBHOOK_SECRET, CURSOR_FILE, RETRY_MS = '500' } = process.env
if (!HOTCAKES || !WEBHOOK_URL || !WEBHOOK_SECRET || !CURSOR_FILE) {
  process.stderr.write('webhook: HOTCAKES, WEBHOOK_URL, WEBHOOK_SECRET and CURSOR_FILE are needed\n')
  process.exit(2)
}
let cursor = existsSync(CURSOR_FILE) ? readFileSync(CURSOR_FILE, 'utf8') : ''
const [pollMs, patienceMs, retryMsMax] = [1_000, 10_000, 60_000]

/** Asks until the answer is good: after half a second, a second, two ... a minute, and not at the same time as others. */
async function persistently(url: string, init: () => RequestInit = () => ({})): Promise<string> {
  for (let waitMs = Number(RETRY_MS); ; waitMs = Math.min(2 * waitMs, retryMsMax)) {
    let [status, text] = [0, '']
    try {
      const reply = await fetch(url, { ...init(), signal: AbortSignal.timeout(patienceMs) })
      ;[status, text] = [reply.status, await reply.text()]
      if (reply.ok) return text
    } catch (error) {
      text = String(error)
    }
    process.stderr.write(`webhook: ${url.split('?')[0]}: ${status} ${text}\n`)
    // hotcakes refuses the cursor: a person has to look, see docs/RECOVERY.md. Anything else may pass.
    if (url !== WEBHOOK_URL && status >= 400 && status < 500) process.exit(1)
    await delay(waitMs * (0.5 + Math.random()))
  }
}

async function post(purchase: { position: string }): Promise<void> {
  const body = JSON.stringify(purchase)
  await persistently(WEBHOOK_URL ?? '', () => {
    const at = String(Math.floor(Date.now() / 1_000))
    const signature = createHmac('sha256', WEBHOOK_SECRET ?? '')
      .update(`${at}.${body}`)
      .digest('hex')
    const signed = { 'webhook-timestamp': at, 'webhook-signature': `sha256=${signature}` }
    const headers = { 'content-type': 'application/json', 'idempotency-key': purchase.position, ...signed }
    return { method: 'POST', headers, body }
  })
}

/** All or nothing, and on disk: a cursor that was half written would be refused, an older one repeats a page. */
function keep(next: string, path: string): void {
  const file = openSync(`${path}.new`, 'w')
  writeSync(file, next)
  fsyncSync(file)
  closeSync(file)
  renameSync(`${path}.new`, path)
}

interface Page {
  readonly purchases: readonly { position: string }[]
  readonly next: string
  readonly more: boolean
}

for (;;) {
  const url = `${HOTCAKES}/purchases?limit=50${cursor === '' ? '' : `&after=${cursor}`}`
  const { purchases, next, more } = JSON.parse(await persistently(url)) as Page
  for (const purchase of purchases) await post(purchase)
  if (next !== cursor) keep(next, CURSOR_FILE)
  cursor = next
  if (!more) await delay(pollMs)
}

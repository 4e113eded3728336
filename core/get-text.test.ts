import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'

import { getText } from './get-text.ts'
import { portsRefusedByBrowsers } from './refused-ports.ts'

/** Below it a server needs rights. */
const portMin = 1_024

async function serving(t: TestContext, ports: readonly number[], server: Server): Promise<string> {
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  for (const port of ports) {
    const isListening = once(server, 'listening').then(
      () => true,
      () => false, // taken
    )
    server.listen(port, '127.0.0.1')
    if (await isListening) return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }
  throw new Error(`none of the ports ${ports.join(', ')} is free`)
}

test('a server is asked at a port that fetch refuses as well', async (t) => {
  const url = await serving(
    t,
    [...portsRefusedByBrowsers].filter((port) => port >= portMin).toReversed(),
    createServer((_, reply) => reply.writeHead(503).end('not yet, ä')),
  )
  await assert.rejects(fetch(url), ({ cause }: Error) => /bad port/.test(String(cause)))
  assert.deepEqual(await getText(url, 60_000), { status: 503, text: 'not yet, ä' })
})

test('who does not answer in time, or breaks off, is an error', async (t) => {
  const silent = await serving(
    t,
    [0],
    createServer((request, reply) => {
      if (request.url === '/half') reply.writeHead(200, { 'Content-Length': 100 }).write('half', () => reply.destroy())
    }),
  )
  await assert.rejects(getText(silent, 50), { name: 'AbortError' })
  await assert.rejects(getText(`${silent}half`, 60_000), { code: 'ECONNRESET' })
})

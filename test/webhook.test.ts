// Goal: examples/webhook.ts delivers every purchase at least once, in the order of the record, and signed.
// Method: it follows a real server and posts to a receiver that refuses, hangs up and answers late now and then. It is killed in the
// middle of a page, twice, and started again with the cursor that it has kept.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { SeededRandom } from '../bench/harness/seeded-random.ts'
import type { ToldPurchase } from '../core/purchases/recorded-purchase.ts'
import { parseCursor } from '../server/primary/purchases/cursor.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { endsWithUs } from './helpers/ends-with-us.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { currentSale, hold, purchase } from './helpers/items.ts'
import { PurchaseReader } from './helpers/purchase-reader.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { seed } from './helpers/seed.ts'

const program = fileURLToPath(new URL('../examples/webhook.js', import.meta.url))
const secret = 'a secret of both'
const purchases = 110

interface Receiver {
  readonly url: string
  /** What it has answered 200, in that order. */
  readonly taken: ToldPurchase[]
  readonly refused: () => number
}

async function startReceiver(t: TestContext, random: SeededRandom): Promise<Receiver> {
  const taken: ToldPurchase[] = []
  let refused = 0
  const receive = async (request: IncomingMessage): Promise<number | undefined> => {
    const body = await text(request)
    assertSigned(request, body)
    const told = JSON.parse(body) as ToldPurchase
    assert.equal(request.headers['idempotency-key'], told.position)
    const mood = random.next()
    // Some are taken, and the answer does not get there.
    if (mood > 0.95) taken.push(told)
    if (mood > 0.8) {
      refused++
      return mood > 0.9 ? undefined : random.pick([400, 429, 500, 503])
    }
    taken.push(told)
    return 200
  }
  let failure: unknown
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const status = await receive(request)
      if (status === undefined) request.socket.destroy()
      else response.writeHead(status).end()
    } catch (error) {
      failure ??= error
      response.writeHead(500).end()
    }
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
    assert.ifError(failure)
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, taken, refused: () => refused }
}

function assertSigned({ headers }: IncomingMessage, body: string): void {
  const at = String(headers['webhook-timestamp'])
  const expected = `sha256=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`
  assert.ok(timingSafeEqual(Buffer.from(String(headers['webhook-signature'])), Buffer.from(expected)))
  assert.ok(Math.abs(Date.now() / 1_000 - Number(at)) < 300)
}

function startWebhook(t: TestContext, env: Readonly<Record<string, string>>) {
  const child: ChildProcess = spawn(...endsWithUs('TERM', process.execPath, [program]), {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (words: string) => (said += words))
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return { exited, said: () => said, kill: () => child.kill('SIGKILL') }
}

async function buy(cluster: Cluster, sale: number, item: number): Promise<void> {
  const { status, text: answer } = await purchase(cluster, await hold(cluster, `user-${item}`, `${sale}-${item}`))
  assert.equal(status, 200, answer)
}

test(`every purchase is delivered in order, though the receiver fails and the webhook is killed (SEED=${seed})`, async (t) => {
  const cluster = await startCluster(t, {
    env: { APP_WORKERS: '1', APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) },
  })
  const sale = await currentSale(cluster)
  const receiver = await startReceiver(t, new SeededRandom(seed))
  const cursorFile = join(temporaryFolder(t), 'cursor')
  const env = {
    HOTCAKES: cluster.metricsUrl,
    WEBHOOK_URL: receiver.url,
    WEBHOOK_SECRET: secret,
    CURSOR_FILE: cursorFile,
    RETRY_MS: '5',
  }
  for (let item = 1; item <= purchases; item++) await buy(cluster, sale, item)
  const isTaken = (count: number) => () => new Set(receiver.taken.map(({ item_id: id }) => id)).size >= count
  for (const count of [20, 70]) {
    const webhook = startWebhook(t, env)
    await eventually(isTaken(count), { what: `${count} deliveries` })
    webhook.kill()
    await webhook.exited
  }
  const last = startWebhook(t, env)
  await eventually(isTaken(purchases), { what: 'all deliveries' })
  await buy(cluster, sale, purchases + 1)
  await eventually(isTaken(purchases + 1), { what: 'what was purchased since' })

  const reader = new PurchaseReader()
  const http = new HttpClient(t, { baseUrl: cluster.metricsUrl })
  while (await reader.next(http, { limit: 1_000 }));
  const firsts = [...new Map(receiver.taken.toReversed().map((told) => [told.position, told])).values()]
  const inOrder = firsts.toSorted((a, b) => indexIn(receiver, a) - indexIn(receiver, b))
  assert.deepEqual(inOrder, reader.got)
  assert.equal(reader.got.length, purchases + 1)
  assert.ok(receiver.refused() > 0 && receiver.taken.length > reader.got.length, 'some were refused, and some repeated')
  await eventually(() => readFileSync(cursorFile, 'utf8') === reader.cursor, { what: 'the last cursor' })

  // With a cursor that is refused it ends, and says why.
  last.kill()
  const cut = (reader.cursor ?? '').slice(0, -1)
  assert.equal(parseCursor(cut), undefined)
  const refused = startWebhook(t, { ...env, HOTCAKES: `${cluster.metricsUrl}/nowhere` })
  assert.equal(await refused.exited, 1)
  assert.match(refused.said(), /404 only \/metrics and \/purchases are here/)
  const nothing = startWebhook(t, {})
  assert.equal(await nothing.exited, 2)
  assert.match(nothing.said(), /WEBHOOK_SECRET and CURSOR_FILE are needed/)
})

function indexIn({ taken }: Receiver, { position }: ToldPurchase): number {
  return taken.findIndex((told) => told.position === position)
}

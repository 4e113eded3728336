// Goal: whoever comes late sees what became of a sale: its curve, its numbers, its audit, as the record has them.
// Method: a worker, a persister and an audit on real services, and the real page in the system's Chromium.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { launchBrowser } from '../bench/harness/browser.ts'
import { runAudit } from './helpers/audit.ts'
import { eventually } from './helpers/eventually.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { assertProblem, currentSale, hold, purchase } from './helpers/items.ts'
import { startPersister } from './helpers/persister.ts'
import { newRecord } from './helpers/record.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const [redis, postgres] = await Promise.all([startRedis({ after }), startPostgres({ after })])
const db = postgres.connection
newRecord({ after }, db)
const services = servicesEnv({ db, redis: redis.connection })
const env = {
  ...services,
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_ITEM_NUMBER: '8',
}
const worker = await startHttpWorker({ after }, redis, { env })
const { http, baseUrl } = worker
const sale = await currentSale(worker)
// The first connection to Postgres may take longer on a busy machine than a reader waits for it.
await eventually(async () => (await http.get(`/sales/${sale}`)).status === 200, { what: 'the record' })
const browser = await launchBrowser()
after(() => browser.close())

interface Point {
  readonly at: string
  readonly sold: number
}

async function curve(of: number): Promise<readonly Point[]> {
  const { status, json, text } = await http.get(`/sales/${of}/curve`)
  assert.equal(status, 200, text)
  assert.equal(json?.['sale_id'], of)
  return json['points'] as Point[]
}

test('a curve ends with the last purchase, and every point of it has more sold than the one before', async (t) => {
  // Not of the sale that is sold from: its curve would stay empty for as long as a worker keeps it.
  const unsold = { sale: sale - 1, opensAtMs: Date.now() - 60_000, closesAtMs: Date.now() - 1_000 }
  await worker.store.openSale({ ...unsold, items: 8, userLimit: 3, holdMs: 1_000, shards: 1 }, 86_400)
  assert.deepEqual(await curve(unsold.sale), [])
  const times: string[] = []
  for (let item = 1; item <= 6; item++) {
    const { json } = await purchase(worker, await hold(worker, 'ann', `${sale}-${item}`))
    times.push(String(json?.['purchased_at']))
  }
  const persister = await startPersister(t, { db, redis: redis.connection })
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  const points = await curve(sale)
  assert.equal(points.at(-1)?.sold, 6)
  assert.equal(points.at(-1)?.at, times.at(-1))
  assert.ok(
    points.every(({ at, sold }) => times[sold - 1] === at),
    JSON.stringify([points, times]),
  )
  assertProblem(await http.get('/sales/x/curve'), 400, 'invalid_request')
  assertProblem(await http.get(`/sales/${sale + 5}/curve`), 404, 'sale_unknown')
})

test('the page has the curve, the numbers, and what the audit said; the list leads to it', async (t) => {
  const page = await browser.newPage()
  t.after(() => page.close())
  const complaints: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(`${baseUrl}/past-sales/${sale}`)
  await page.getByText('6 of 8 items were sold so far.').waitFor()
  await page.getByText('Not audited yet').waitFor()
  await page.locator('#curve[aria-label^="6 of 8 sold within"]').waitFor()
  assert.match((await page.locator('#numbers').textContent()) ?? '', /Attempts12.*Holds6.*Purchases6/)

  assert.equal((await runAudit(services)).status, 0)
  await page.reload()
  await page.locator('#verdict[data-verdict="passed"]').waitFor()

  await page.getByRole('link', { name: 'All sales' }).click()
  await page.getByRole('link', { name: `Sale ${sale}` }).waitFor()
  assert.equal(
    await page.getByRole('link', { name: `Sale ${sale}` }).getAttribute('href'),
    '/',
    'it is open: the board has it',
  )
  assert.deepEqual(complaints, [])
})

test('a sale that there is not, and a record that is away, are said in the words of the API', async (t) => {
  const page = await browser.newPage()
  t.after(() => page.close())
  await page.goto(`${baseUrl}/past-sales/${sale + 7}`)
  await page.getByRole('alert').filter({ hasText: /sale/i }).waitFor()
  await page.goto(`${baseUrl}/past-sales/none`)
  await page.getByRole('alert').filter({ hasText: 'The path must name the number of a sale.' }).waitFor()
})

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { launchBrowser } from '../bench/harness/browser.ts'
import { problemCodes } from '../server/worker/http/problems.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { startRedis } from './helpers/services.ts'

/** Of everything that /docs loads, as it comes from this server: 1.8 MB were once asked of a reader's connection. */
const transferredBytesMax = 200_000

const worker = await startHttpWorker({ after }, await startRedis({ after }), {
  env: { APP_SALE_INTERVAL_SECONDS: '2592000' },
})
const browser = await launchBrowser()
after(() => browser.close())

interface Seen {
  readonly complaints: string[]
  bytes: number
}

async function openPage(
  scope: { after(clean: () => Promise<void>): void },
  options: { javaScriptEnabled?: boolean } = {},
) {
  const page = await browser.newPage(options)
  scope.after(() => page.close())
  const seen: Seen = { complaints: [], bytes: 0 }
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) seen.complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!/^(data:|blob:)/.test(request.url()) && !request.url().startsWith(worker.baseUrl))
      seen.complaints.push(request.url())
  })
  page.on('response', (response) => {
    seen.bytes += Number(response.headers()['content-length'] ?? 0)
  })
  return { page, seen }
}

test('the reference shows every operation, asks no other server, and tries one out', async (t) => {
  const { page, seen } = await openPage(t)
  await page.goto(`${worker.baseUrl}/docs`)
  await page.evaluate('document.fonts.ready')
  const { json } = await worker.http.get('/openapi.json')
  const operations = Object.values(json?.['paths'] as Record<string, Record<string, { operationId: string }>>)
    .flatMap((methods) => Object.values(methods))
    .map(({ operationId }) => operationId)
  assert.ok(operations.length > 10)
  assert.deepEqual(
    await page.locator('article.operation').evaluateAll((articles) => articles.map(({ id }) => id)),
    operations,
  )
  assert.ok(seen.bytes > 50_000 && seen.bytes < transferredBytesMax, `${seen.bytes} bytes`)

  const checkout = page.locator('#checkout')
  await checkout.getByRole('button', { name: 'Send' }).click()
  await checkout.locator('output').getByText('"expires_at"').waitFor()
  const items = page.locator('#items')
  await items.getByLabel('state').selectOption('held')
  await items.getByRole('button', { name: 'Send' }).click()
  await items.locator('output').getByText('"hold_expires_at"').waitFor()
  const purchase = page.locator('#purchaseByCode')
  await purchase.getByLabel('code').fill('a b')
  await purchase.getByRole('button', { name: 'Send' }).click()
  await purchase.locator('output').getByText('invalid_request', { exact: false }).waitFor()
  // What the page complains of is its own: the browser reports the 400 that was asked for.
  assert.deepEqual(
    seen.complaints.filter((complaint) => !complaint.includes('400 (Bad Request)')),
    [],
  )
})

test('doc_url leads to what the code means, for each code', async (t) => {
  const { page, seen } = await openPage(t)
  const problem = await worker.http.get('/items/1-1')
  await page.goto(new URL(String(problem.json?.['doc_url']), `${worker.baseUrl}/items/1-1`).href)
  assert.match(await page.locator(':target').innerText(), /sale_unknown[^]*There is no such sale/)
  assert.deepEqual(
    await page.locator('main section[id]').evaluateAll((sections) => sections.map(({ id }) => id)),
    problemCodes,
  )
  assert.deepEqual(seen.complaints, [])
})

test('the pages are whole without a script, and dark for who has it dark', async (t) => {
  const { page, seen } = await openPage(t, { javaScriptEnabled: false })
  await page.goto(`${worker.baseUrl}/docs`)
  assert.equal(await page.locator('form:visible').count(), 0)
  assert.match(await page.locator('#checkout pre').innerText(), /^curl -i -X POST 'http/)
  await page.goto(`${worker.baseUrl}/docs/errors`)
  assert.equal(await page.locator('#item_held:visible').count(), 1)
  assert.deepEqual(seen.complaints, [])

  const scheme = await openPage(t)
  await scheme.page.goto(`${worker.baseUrl}/docs`)
  const ground = () => scheme.page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor')
  assert.equal(await ground(), 'rgb(250, 241, 225)')
  await scheme.page.emulateMedia({ colorScheme: 'dark' })
  assert.equal(await ground(), 'rgb(21, 16, 12)')
})

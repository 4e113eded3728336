import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { launchBrowser } from '../bench/harness/browser.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { startRedis } from './helpers/services.ts'

const browser = await launchBrowser()
after(() => browser.close())

test('the reference shows every operation, asks no other server, and tries one out', async (t) => {
  const worker = await startHttpWorker(t, await startRedis(t), { env: { APP_SALE_INTERVAL_SECONDS: '2592000' } })
  const page = await browser.newPage()
  t.after(() => page.close())
  const complaints: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!/^(data:|blob:)/.test(request.url()) && !request.url().startsWith(worker.baseUrl))
      complaints.push(request.url())
  })

  await page.goto(`${worker.baseUrl}/docs`)
  await page.locator('.opblock').first().waitFor()
  const { json } = await worker.http.get('/openapi.json')
  assert.equal(await page.locator('.opblock').count(), Object.keys(json?.['paths'] as object).length)

  const checkout = page.locator('#operations-Selling-checkout')
  await checkout.locator('.opblock-summary-control').click()
  await checkout.getByRole('button', { name: 'Try it out' }).click()
  await checkout.getByRole('button', { name: 'Execute' }).click()
  await checkout.locator('.live-responses-table').getByText('"expires_at"').waitFor()
  assert.deepEqual(complaints, [])
})

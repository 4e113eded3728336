// Takes a picture of every state of the sale board, light and dark, on a desk and on a phone.
// usage: npm run screenshots [-- --out DIR] [--look desk-light]

import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'

import { launchBrowser } from '../harness/browser.ts'
import { startHotcakes } from '../harness/server-under-test.ts'
import { Crowd } from './crowd.ts'

const desk = { viewport: { width: 1440, height: 900 } }
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }
const looks = {
  'desk-light': { ...desk, colorScheme: 'light' },
  'desk-dark': { ...desk, colorScheme: 'dark' },
  'phone-light': { ...phone, colorScheme: 'light' },
  'phone-dark': { ...phone, colorScheme: 'dark' },
} as const
const env = { APP_SALE_INTERVAL_SECONDS: '3600', APP_USER_LIMIT: '20', APP_HOLD_SECONDS: '600' }

const { values } = parseArgs({
  options: { out: { type: 'string', default: '.out/screenshots' }, look: { type: 'string' } },
})
const folder = resolve(values.out)
mkdirSync(folder, { recursive: true })
const browser = await launchBrowser()
try {
  await wholeSale(10_000)
  await soldOut(120)
} finally {
  await browser.close()
}

/** One page of each look, on one server. */
async function openAll(url: string): Promise<Map<string, Page>> {
  const pages = new Map<string, Page>()
  for (const [name, look] of Object.entries(looks)) {
    if (values.look !== undefined && values.look !== name) continue
    const page = await (await browser.newContext(look)).newPage()
    await page.goto(url)
    await page.locator('[data-link="live"]').waitFor({ state: 'attached' })
    pages.set(name, page)
  }
  return pages
}

async function shoot(pages: ReadonlyMap<string, Page>, state: string): Promise<void> {
  for (const [look, page] of pages) {
    const path = join(folder, `${state}-${look}.png`)
    await page.screenshot({ path })
    process.stdout.write(`${path}\n`)
  }
}

async function wholeSale(items: number): Promise<void> {
  const server = await startHotcakes({ ...env, APP_ITEM_NUMBER: String(items), APP_WORKERS: '1' })
  try {
    const pages = await openAll(server.url)
    await shoot(pages, '1-idle')
    const crowd = await Crowd.at(server.url, { kept: pages.size })
    await crowd.buy({ count: items * 0.3, perSecond: 400, purchased: 0.75 })
    const busy = crowd.buy({ count: items * 0.2, perSecond: 200, purchased: 0.8 })
    await delay(3_000)
    await shoot(pages, '2-busy')
    for (const [n, page] of [...pages.values()].entries()) {
      await page.getByLabel('Item', { exact: true }).fill(String(items - n))
      await page.getByRole('button', { name: 'Go', exact: true }).click()
      await page.locator('#name').filter({ hasNotText: /^Item/ }).waitFor()
    }
    await shoot(pages, '3-picked')
    for (const page of pages.values()) await page.getByRole('button', { name: 'Check out' }).click()
    for (const page of pages.values()) await page.locator('#hold').waitFor()
    const busier = crowd.buy({ count: items * 0.1, perSecond: 150, purchased: 0.8 })
    await delay(2_500)
    await shoot(pages, '4-held')
    for (const page of pages.values()) await page.getByRole('button', { name: 'Purchase' }).click()
    for (const page of pages.values()) await page.getByText('It is yours.').waitFor()
    await Promise.all([busy, busier])
    await delay(1_500)
    await shoot(pages, '5-yours')
    await server.stop()
    for (const page of pages.values()) await page.locator('[data-link="stale"]').waitFor({ state: 'attached' })
    await delay(4_000)
    await shoot(pages, '6-stale')
    for (const page of pages.values()) await page.context().close()
  } finally {
    await server.stop()
  }
}

async function soldOut(items: number): Promise<void> {
  const server = await startHotcakes({ ...env, APP_ITEM_NUMBER: String(items), APP_WORKERS: '1' })
  try {
    const pages = await openAll(server.url)
    const crowd = await Crowd.at(server.url, { kept: 0 })
    await crowd.buy({ count: items / 2, perSecond: 40, purchased: 0.7 })
    await shoot(pages, '7-small')
    await crowd.buy({ count: items / 2, perSecond: 40, purchased: 1 })
    await crowd.makeUpItsMind()
    for (const page of pages.values()) await page.locator('.view-sold-out').waitFor()
    await delay(1_000)
    await shoot(pages, '8-sold-out')
    for (const page of pages.values()) await page.getByRole('button', { name: 'When is the next sale?' }).click()
    await shoot(pages, '9-next-sale')
    for (const page of pages.values()) await page.context().close()
  } finally {
    await server.stop()
  }
}

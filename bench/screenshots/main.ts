// npm run screenshots: pictures of the sale board.

import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'

import { type Command, type Options, oneOf, runCommand } from '../../core/command-line.mjs'
import { launchBrowser } from '../harness/browser.ts'
import { startHotcakes } from '../harness/server-under-test.ts'
import { Crowd } from './crowd.ts'

const desk = { viewport: { width: 1440, height: 900 } }
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }
/** A phone on its side. */
const low = { ...phone, viewport: { width: 740, height: 360 } }
const looks = {
  'desk-light': { ...desk, colorScheme: 'light' },
  'desk-dark': { ...desk, colorScheme: 'dark' },
  'low-light': { ...low, colorScheme: 'light' },
  'phone-light': { ...phone, colorScheme: 'light' },
  'phone-dark': { ...phone, colorScheme: 'dark' },
} as const
const env = { APP_SALE_INTERVAL_SECONDS: '3600', APP_USER_LIMIT: '20', APP_HOLD_SECONDS: '600' }

type LookName = keyof typeof looks
const lookNames = Object.keys(looks) as LookName[]

const screenshotsCommand = {
  name: 'npm run screenshots',
  purpose: 'Takes a picture of every state of the sale board, light and dark, on a desk and on a phone.',
  options: {
    out: { value: 'DIR', read: String, default: '.out/screenshots', doc: 'for the pictures' },
    look: {
      value: 'LOOK',
      read: oneOf(lookNames),
      defaultMeans: 'each',
      doc: `only this one: ${lookNames.join(', ')}`,
    },
  },
  exits: { 1: 'one could not be taken' },
} satisfies Command<Options>

process.exitCode = await runCommand(screenshotsCommand, process.argv.slice(2), async ({ out, look }) => {
  const folder = resolve(out)
  mkdirSync(folder, { recursive: true })
  const browser = await launchBrowser()
  const studio = { browser, folder, looks: look === undefined ? lookNames : [look] }
  try {
    await wholeSale(studio, 10_000)
    await soldOut(studio, 120)
  } finally {
    await browser.close()
  }
})

interface Studio {
  readonly browser: Browser
  readonly folder: string
  readonly looks: readonly LookName[]
}

/** One page of each look, on one server. */
async function openAll(studio: Studio, url: string): Promise<Map<string, Page>> {
  const pages = new Map<string, Page>()
  for (const name of studio.looks) {
    const page = await (await studio.browser.newContext(looks[name])).newPage()
    await page.goto(url)
    await page.locator('[data-link="live"]').waitFor({ state: 'attached' })
    pages.set(name, page)
  }
  return pages
}

async function shoot({ folder }: Studio, pages: ReadonlyMap<string, Page>, state: string): Promise<void> {
  for (const [look, page] of pages) {
    const path = join(folder, `${state}-${look}.png`)
    await page.screenshot({ path })
    process.stdout.write(`${path}\n`)
  }
}

async function wholeSale(studio: Studio, items: number): Promise<void> {
  const server = await startHotcakes({ ...env, APP_ITEM_NUMBER: String(items), APP_WORKERS: '1' })
  try {
    const pages = await openAll(studio, server.url)
    await shoot(studio, pages, '1-idle')
    const crowd = await Crowd.at(server.url, { kept: pages.size })
    await crowd.buy({ count: items * 0.3, perSecond: 400, purchased: 0.75 })
    const busy = crowd.buy({ count: items * 0.2, perSecond: 200, purchased: 0.8 })
    await delay(3_000)
    await shoot(studio, pages, '2-busy')
    for (const [n, page] of [...pages.values()].entries()) {
      await page.getByLabel('Item', { exact: true }).fill(String(items - n))
      await page.getByRole('button', { name: 'Go', exact: true }).click()
      await page.locator('#name').filter({ hasNotText: /^Item/ }).waitFor()
    }
    await shoot(studio, pages, '3-picked')
    for (const page of pages.values()) await page.getByRole('button', { name: 'Check out' }).click()
    for (const page of pages.values()) await page.locator('#hold').waitFor()
    const busier = crowd.buy({ count: items * 0.1, perSecond: 150, purchased: 0.8 })
    await delay(2_500)
    await shoot(studio, pages, '4-held')
    for (const page of pages.values()) await page.getByRole('button', { name: 'Purchase' }).click()
    for (const page of pages.values()) await page.getByText('It is yours.').waitFor()
    await Promise.all([busy, busier])
    await delay(1_500)
    await shoot(studio, pages, '5-yours')
    await server.stop()
    for (const page of pages.values()) await page.locator('[data-link="stale"]').waitFor({ state: 'attached' })
    await delay(4_000)
    await shoot(studio, pages, '6-stale')
    for (const page of pages.values()) await page.context().close()
  } finally {
    await server.stop()
  }
}

async function soldOut(studio: Studio, items: number): Promise<void> {
  const server = await startHotcakes({ ...env, APP_ITEM_NUMBER: String(items), APP_WORKERS: '1' })
  try {
    const pages = await openAll(studio, server.url)
    const crowd = await Crowd.at(server.url, { kept: 0 })
    await crowd.buy({ count: items / 2, perSecond: 40, purchased: 0.7 })
    await shoot(studio, pages, '7-small')
    await crowd.buy({ count: items / 2, perSecond: 40, purchased: 1 })
    for (const page of pages.values()) await page.getByRole('button', { name: 'Tell me when one is free' }).click()
    await shoot(studio, pages, '8-all-taken')
    await crowd.makeUpItsMind()
    for (const page of pages.values()) await page.locator('.view-sold-out').waitFor()
    await delay(1_000)
    await shoot(studio, pages, '9-sold-out')
    for (const page of pages.values()) await page.context().close()
  } finally {
    await server.stop()
  }
}

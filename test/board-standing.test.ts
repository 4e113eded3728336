// Goal: nobody is left standing: not where all is taken, nor without scripts, nor behind a proxy that knows no WebSockets, nor
// on a screen that is low.
// Method: the real server and the real page in the system's Chromium, and a real proxy that refuses upgrades.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { launchBrowser } from '../bench/harness/browser.ts'
import { BlockingProxy } from './helpers/blocking-proxy.ts'
import { BoardPage } from './helpers/board-page.ts'
import { eventually } from './helpers/eventually.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { currentSale, hold, purchase, release } from './helpers/items.ts'
import { startRedis } from './helpers/services.ts'

const browser = await launchBrowser()
after(() => browser.close())
const redis = await startRedis({ after })

/** Another length of sales makes another sale: all of them are in one Redis. */
function startShop(days: number, items: number) {
  const env = { APP_SALE_INTERVAL_SECONDS: String(days * 86_400), APP_ITEM_NUMBER: String(items), APP_USER_LIMIT: '6' }
  return startHttpWorker({ after }, redis, { env })
}

const small = await startShop(30, 60)
const large = await startShop(29, 10_000)

test('all taken: when the next hold ends is said, and whoever waits gets the item that is free again', async (t) => {
  const shop = await startShop(28, 6)
  const sale = await currentSale(shop)
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  const { page } = board
  const codes = await Promise.all([1, 2, 3, 4, 5, 6].map((item) => hold(shop, 'ann', `${sale}-${item}`)))
  const [first = '', second = '', ...others] = codes
  for (const code of others) await purchase(shop, code)
  await page.getByRole('heading', { name: 'All taken, for now' }).waitFor()
  await page.locator('#taken-text').getByText('2 are held, and 4 of the 6 items are sold.').waitFor()
  assert.match((await page.locator('#hold-ends-in').textContent()) ?? '', /^(10:00|9:\d\d)$/)
  assert.ok(await page.locator('#any').isDisabled())
  await board.button('Tell me when one is free').click()
  await board.button('Stop waiting').waitFor()

  await release(shop, first)
  await page.locator('#toast').getByText('Item 1 is free.').waitFor()
  assert.match(await page.title(), /^Item 1 is free/)
  assert.match((await page.locator('#announcer').textContent()) ?? '', /Item 1 is free/)
  await hold(shop, 'bob', `${sale}-1`)
  await page.locator('#toast').getByText('Somebody was quicker with item 1.').waitFor()
  await board.button('Stop waiting').waitFor()

  await release(shop, second)
  await page.locator('#toast').getByText('Item 2 is free.').waitFor()
  // On a busy machine the feed tells of the hold before its own answer does.
  await page.route('**/checkout?*', async (route) => {
    const response = await route.fetch()
    await eventually(async () => (await board.count('held')) === 2, { what: 'the hold in the feed' })
    await route.fulfill({ response })
  })
  await board.button('Check out').click()
  await page.getByText('It is held for you.').waitFor()
  await eventually(async () => (await page.title()).startsWith('hotcakes'), { what: 'the title of before' })
  board.assertNoComplaints()
})

test('what the page can not do is seen and heard', async (t) => {
  const sale = await currentSale(small)
  const board = await BoardPage.open(t, { browser, baseUrl: small.baseUrl })
  const { page } = board
  const toast = page.locator('#toast')
  await page.getByLabel('Item', { exact: true }).fill('61')
  await board.button('Go').click()
  await toast.getByText('There is no item 61. They go from 1 to 60.').waitFor()
  assert.match((await page.locator('#announcer').textContent()) ?? '', /There is no item 61/)
  await page.getByLabel('Item', { exact: true }).fill('7')
  await board.button('Go').click()
  await toast.waitFor({ state: 'hidden' })

  // Refused when another item is on show already.
  await hold(small, 'somebody', `${sale}-7`)
  await page.route(/\/checkout\?/, async (route) => {
    await page.getByLabel('Item', { exact: true }).fill('8')
    await board.button('Go').click()
    await route.continue()
  })
  await page.evaluate("document.getElementById('checkout').requestSubmit()")
  await toast.getByText(/-7: Another user holds the item/).waitFor()
})

test('a label says which item the pointer, or the keyboard, is at', async (t) => {
  const board = await BoardPage.open(t, { browser, baseUrl: large.baseUrl })
  const { page } = board
  const loupe = page.locator('.loupe')
  await page.locator('canvas').hover({ position: { x: 3, y: 3 } })
  await loupe.getByText('Item 1, available').waitFor()
  await hold(large, 'ann', `${await currentSale(large)}-1`)
  await loupe.getByText('Item 1, held').waitFor()
  await page.getByRole('heading', { name: 'On the griddle' }).hover()
  await loupe.waitFor({ state: 'hidden' })
  await page.getByRole('grid').focus()
  await page.keyboard.press('End')
  const columns = Number(await page.getByRole('grid').getAttribute('aria-colcount'))
  await loupe.getByText(`Item ${columns}, available`).waitFor()
  const box = await loupe.boundingBox()
  assert.ok(box && box.x >= 0 && box.x + box.width <= 1_280, 'it is not cut off')
  await page.keyboard.press('Escape')
  await loupe.waitFor({ state: 'hidden' })
  board.assertNoComplaints()
})

test('without scripts the page says so, and its links lead on', async (t) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  t.after(() => context.close())
  const page = await context.newPage()
  await page.goto(small.baseUrl)
  await page.getByRole('heading', { name: 'This board needs JavaScript' }).waitFor()
  assert.equal(await page.locator('main').isVisible(), false)
  const links = await Promise.all((await page.locator('.plain a').all()).map((link) => link.getAttribute('href')))
  assert.equal(links.length, 5)
  // The list of sales is Postgres', which the worker of this test doesn't have.
  for (const path of links)
    if (path !== '/sales') assert.equal((await small.http.get(path ?? '')).status, 200, path ?? '')
})

test('where WebSockets are blocked the page says so, asks instead, and sells; live again when they are not', async (t) => {
  const sale = await currentSale(small)
  const proxy = await BlockingProxy.start(t, small.port)
  const board = await BoardPage.open(t, { browser, baseUrl: proxy.baseUrl, link: 'polling' })
  const { page } = board
  await page.locator('#blocked').waitFor()
  const [held, sold] = [await board.count('held'), await board.count('sold')]
  await hold(small, 'ann', `${sale}-1`)
  await eventually(async () => (await board.count('held')) === held + 1, { what: 'a hold, by asking' })
  await page.getByLabel('Item', { exact: true }).fill('2')
  await board.button('Go').click()
  await board.button('Check out').click()
  await board.button('Purchase').click()
  await page.getByText('It is yours.').waitFor()
  await eventually(async () => (await board.count('sold')) === sold + 1, { what: 'a purchase, by asking' })
  assert.ok(proxy.refused >= 2)

  proxy.isBlocking = false
  await board.linked('live')
  await page.locator('#blocked').waitFor({ state: 'hidden' })
  await hold(small, 'ann', `${sale}-3`)
  await eventually(async () => (await board.count('held')) === held + 2)
})

const withoutSockets = {
  'has no WebSockets': 'delete globalThis.WebSocket',
  'forbids them': 'globalThis.WebSocket = class { constructor() { throw new Error("forbidden") } }',
  'opens some that bring nothing': 'globalThis.WebSocket = class extends EventTarget { readyState = 1; close() {} }',
}
for (const [what, before] of Object.entries(withoutSockets)) {
  test(`a browser that ${what} asks instead`, async (t) => {
    const board = await BoardPage.open(t, { browser, baseUrl: small.baseUrl, link: 'polling', before })
    await board.page.locator('#blocked').waitFor()
    assert.ok((await board.count('available')) > 0)
  })
}

for (const [width, height] of [
  [740, 360],
  [1_200, 420],
  [360, 480],
] as const) {
  test(`on ${width} by ${height} what is picked doesn't cover the griddle`, async (t) => {
    const board = await BoardPage.open(t, { browser, baseUrl: large.baseUrl, look: { viewport: { width, height } } })
    const { page } = board
    await page.locator('.view-empty button').click()
    await board.button('Check out').click()
    await page.getByText('It is held for you.').waitFor()
    for (const position of ['start', 'center', 'end']) {
      await page.evaluate(`document.querySelector('#grid').scrollIntoView({ block: '${position}' })`)
      const [grid, panel] = [await page.locator('#grid').boundingBox(), await page.locator('#panel').boundingBox()]
      assert.ok(grid && panel)
      const isBeside = panel.x >= grid.x + grid.width || panel.x + panel.width <= grid.x
      const isApart = panel.y >= grid.y + grid.height || panel.y + panel.height <= grid.y
      assert.ok(isBeside || isApart, position)
    }
    assert.equal(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), 0)
  })
}

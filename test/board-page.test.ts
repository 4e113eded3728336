// Goal: a person sees the sale as it is and can buy, with a mouse, a finger or the keyboard alone, whatever the server
// goes through meanwhile.
// Method: the real server and the real page in the system's Chromium.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { launchBrowser } from '../bench/harness/browser.ts'
import { BoardPage } from './helpers/board-page.ts'
import { startCluster } from './helpers/cluster.ts'
import { comeBack } from './helpers/come-back.ts'
import { eventually } from './helpers/eventually.ts'
import { startHttpWorker, type TestHttpWorker } from './helpers/http-worker.ts'
import { checkout, currentSale, hold, purchase } from './helpers/items.ts'
import { startRedisCluster } from './helpers/redis-cluster.ts'
import type { Scope } from './helpers/scope.ts'
import { startRedis } from './helpers/services.ts'

const browser = await launchBrowser()
after(() => browser.close())
// Each of its visitors is another guest.
const largeShop = await startShop({ after }, { APP_ITEM_NUMBER: '10000' })

async function startShop(scope: Scope, settings: Record<string, string> = {}): Promise<TestHttpWorker> {
  const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_ITEM_NUMBER: '60', ...settings }
  return startHttpWorker(scope, await startRedis(scope), { env })
}

test('a purchase goes from a click on the griddle to "yours"', async (t) => {
  const shop = await startShop(t)
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  await board.page.locator('canvas').click({ position: { x: 20, y: 20 } })
  await board.page.locator('#item-id').filter({ hasText: /-1$/ }).waitFor()
  await board.page.getByLabel('Your user id').fill('ann')
  await board.button('Check out').click()
  await board.page.getByText('It is held for you.').waitFor()
  assert.match((await board.page.locator('#hold-left').textContent()) ?? '', /^(10:00|9:\d\d)$/)
  await eventually(async () => (await board.count('held')) === 1)
  await board.button('Purchase').click()
  await board.page.getByText('It is yours.').waitFor()
  await eventually(async () => (await board.count('sold')) === 1)

  await board.page.reload()
  await board.button('Item 1, yours').click()
  await board.page.getByText('It is yours.').waitFor()
  assert.equal(await board.page.getByLabel('Your user id').inputValue(), 'ann', 'the user id is remembered')
  board.assertNoComplaints()
})

test('whoever picks another gives the held item back; a look at other items does not', async (t) => {
  const shop = await startShop(t, { APP_USER_LIMIT: '1' })
  const sale = await currentSale(shop)
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  const { page } = board
  const go = async (item: string) => {
    await page.getByLabel('Item', { exact: true }).fill(item)
    await board.button('Go').click()
  }
  await go('3')
  await page.getByLabel('Your user id').fill('ann')
  await board.button('Check out').click()
  await page.getByText('It is held for you.').waitFor()
  await go('4')
  await board.button('Pick another').click()
  await eventually(async () => (await board.count('held')) === 1)
  assert.equal((await checkout(shop, 'bob', `${sale}-3`)).json?.['code'], 'item_held')

  await board.button('Item 3, held').click()
  await board.button('Pick another').click()
  await eventually(async () => (await board.count('held')) === 0, { what: 'the item on sale again' })
  // The feed may tell of it before the answer is there.
  await page.locator('#announcer').filter({ hasText: 'Item 3 is given back' }).waitFor({ state: 'attached' })
  assert.equal(await board.button('Item 3, held').count(), 0)
  assert.equal((await checkout(shop, 'bob', `${sale}-3`)).status, 200)
  await go('4')
  await board.button('Check out').click()
  await page.getByText('It is held for you.').waitFor()
  board.assertNoComplaints()
})

test('with the keyboard alone: to the griddle, along it, and through the purchase', async (t) => {
  const shop = await startShop(t)
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  const { page } = board
  await page.getByRole('grid').focus()
  for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowUp', 'End', 'Home', 'ArrowRight'])
    await page.keyboard.press(key)
  const active = page.locator(`#${await page.getByRole('grid').getAttribute('aria-activedescendant')}`)
  assert.equal(await active.textContent(), 'Item 2, available')
  await page.keyboard.press('Enter')
  await page.locator('#name:focus').waitFor()
  for (let presses = 0; presses < 5 && !(await isFocused(board, 'Check out')); presses++)
    await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await eventually(() => isFocused(board, 'Purchase'), { what: 'the focus on what comes next' })
  await page.keyboard.press('Enter')
  await page.getByText('It is yours.').waitFor()
  assert.match((await page.locator('#announcer').textContent()) ?? '', /Item 2 is yours/)
  board.assertNoComplaints()
})

async function isFocused(board: BoardPage, name: string): Promise<boolean> {
  return (await board.page.evaluate('document.activeElement.textContent')) === name
}

test('a sell-out is watched live, from the first hold to the countdown of the next sale', async (t) => {
  const shop = await startShop(t, { APP_ITEM_NUMBER: '24', APP_USER_LIMIT: '24' })
  const sale = await currentSale(shop)
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  assert.equal(await board.count('available'), 24)
  const ids = Array.from({ length: 24 }, (_, at) => `${sale}-${at + 1}`)
  const codes = await Promise.all(ids.map((id) => hold(shop, 'ann', id)))
  await eventually(async () => (await board.count('held')) === 24, { what: 'all held' })
  await Promise.all(codes.map((code) => purchase(shop, code)))
  await board.page.getByRole('heading', { name: 'Sold out', exact: true }).waitFor()
  assert.equal(await board.count('sold'), 24)
  assert.match((await board.page.locator('#curve').getAttribute('aria-label')) ?? '', /^24 of 24 sold within/)
  // As a clock on the last day of thirty.
  assert.match((await board.page.locator('#next-in').textContent()) ?? '', /^(\d+ d \d+ h|(\d+:)?\d+:\d\d)$/)
  const past = await board.page.getByRole('link', { name: 'How it went' }).getAttribute('href')
  assert.equal(past, `/past-sales/${sale}`)
  board.assertNoComplaints()
})

test('what the API refuses is said in its words, and a hold that runs out gives way', async (t) => {
  const shop = await startShop(t, { APP_HOLD_SECONDS: '6', APP_USER_LIMIT: '1' })
  const sale = await currentSale(shop)
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  const { page } = board
  // Bought, so that it counts for as long as the page takes to ask.
  assert.equal((await purchase(shop, await hold(shop, 'bob', `${sale}-8`))).status, 200)
  await page.getByLabel('Item', { exact: true }).fill('7')
  await board.button('Go').click()
  await page.getByLabel('Your user id').fill('bob')
  await board.button('Check out').click()
  await page.getByRole('alert').filter({ hasText: 'The user has as many items as one user may' }).waitFor()
  await page.getByLabel('Your user id').fill('ann')
  await board.button('Check out').click()
  await page.getByRole('alert').filter({ hasText: 'Your hold ran out' }).waitFor()
  await board.button('Check out').waitFor()
  board.assertNoComplaints()
})

test('over a restart of the server the page says that it is stale, comes back by itself, and is right', async (t) => {
  const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_ITEM_NUMBER: '60', APP_WORKERS: '1' }
  const first = await startCluster(t, { env })
  const id = Number((await first.http.get('/sale')).json?.['id'])
  const board = await BoardPage.open(t, { browser, baseUrl: first.baseUrl })
  await first.http.post(`/checkout?user_id=ann&id=${id}-1`)
  await eventually(async () => (await board.count('held')) === 1)
  await first.stop()
  await board.linked('stale')
  await board.page.getByText(/Stale: last news/).waitFor()

  const { APP_PORT: port = '' } = first.env
  const second = await startCluster(t, { env: { ...env, APP_PORT: port }, dataDir: first.dataDir })
  await second.http.post(`/checkout?user_id=ann&id=${id}-2`)
  await board.linked('live')
  await eventually(async () => (await board.count('held')) === 2)
  board.assertNoComplaints()
})

test('a shard that is away: which part of the sale is out of reach, to eye and ear, until it is back', async (t) => {
  const { shop, node, store } = await startShardedShop(t)
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  const { page } = board
  const dark = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl, look: { colorScheme: 'dark' } })
  const sale = await currentSale(shop)
  for (const index of [1, 2]) await hold(shop, 'ann', `${sale}-${index}`)
  await eventually(async () => (await board.count('held')) === 2, { what: 'both holds' })
  assert.ok(!(await page.locator('#missing, #legend-missing').first().isVisible()))
  const looks = async (item: number) => String(await page.evaluate(pictureOf(item)))
  const [taken, free] = [await looks(2), await looks(5)]
  assert.notEqual(taken, free)
  assert.equal(free, await looks(8))
  await page.getByRole('grid').focus()
  await page.keyboard.press('ArrowRight')
  const active = async () => page.locator(`#${await page.getByRole('grid').getAttribute('aria-activedescendant')}`)
  assert.equal(await (await active()).textContent(), 'Item 2, held')

  await node.kill()
  const notice = page.getByRole('note').filter({ hasText: /^\s*20 of the 59 items are out of reach/ })
  await notice.waitFor()
  assert.match((await page.locator('#announcer').textContent()) ?? '', /^20 of the 59 items.*The others sell on/)
  const counts = ['available', 'held', 'sold', 'missing'] as const
  assert.deepEqual(await Promise.all(counts.map((state) => board.count(state))), [38, 1, 0, 20])
  assert.equal(await (await active()).textContent(), 'Item 2, out of reach')
  assert.equal(await looks(2), await looks(5))
  assert.ok(![taken, free].includes(await looks(2)), 'out of reach has a look of its own')
  await page.keyboard.press('Enter')
  await page.locator('#item-state').filter({ hasText: 'out of reach' }).waitFor()
  assert.ok(!(await board.button('Check out').isVisible()))
  await dark.page.locator('#missing-text').filter({ hasText: '20 of the 59 items are out of reach' }).waitFor()
  for (const { page: each } of [board, dark]) assert.deepEqual(await each.evaluate(faintTexts), [])

  await page.getByLabel('Item', { exact: true }).fill('3')
  await board.button('Go').click()
  await board.button('Check out').click()
  await page.getByText('It is held for you.').waitFor()
  assert.ok(await notice.isVisible(), 'the others sell, and it is still said')

  await comeBack(node, store)
  await notice.waitFor({ state: 'hidden' })
  await page.locator('#announcer').filter({ hasText: 'within reach again' }).waitFor({ state: 'attached' })
  await eventually(async () => (await board.count('held')) === 3, { what: 'all holds after its return' })
  assert.equal(await looks(5), free)
})

/** Three shards, and the master of the second: the one of item 2. */
async function startShardedShop(scope: Scope) {
  const shards = 3
  const cluster = await startRedisCluster(scope, { masters: shards })
  const env = { APP_SALE_INTERVAL_SECONDS: String(30 * 86_400), APP_ITEM_NUMBER: '59', APP_USER_LIMIT: '3' }
  const shop = await startHttpWorker(scope, { connection: cluster.settings, admin: cluster.admin }, { env, shards })
  const store = shop.stores[1]
  assert.ok(store)
  return { shop, store, node: await cluster.masterOf(1) }
}

/** What is drawn of the item inside of where its number stands, as text. */
function pictureOf(item: number): string {
  return `(() => {
    const canvas = document.querySelector('#grid canvas')
    const columns = Number(document.querySelector('#grid').getAttribute('aria-colcount'))
    const side = canvas.width / columns
    const at = ${item} - 1
    const [x, y] = [(at % columns) * side, Math.floor(at / columns) * side]
    return canvas.getContext('2d').getImageData(x, y, side, Math.floor(side / 3)).data.join()
  })()`
}

const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }

for (const [name, look] of Object.entries({
  'a phone': { ...phone, colorScheme: 'light' as const },
  'a phone in the dark': { ...phone, colorScheme: 'dark' as const },
  'a tablet': { viewport: { width: 820, height: 1_180 } },
})) {
  test(`on ${name} nothing scrolls sideways, and a tap buys`, async (t) => {
    const board = await BoardPage.open(t, { browser, baseUrl: largeShop.baseUrl, look })
    const { page } = board
    const overflow = () => page.evaluate('document.documentElement.scrollWidth - innerWidth')
    assert.equal(await overflow(), 0)
    await page.locator('.view-empty button').click()
    await board.button('Check out').click()
    await board.button('Purchase').click()
    await page.getByText('It is yours.').waitFor()
    assert.equal(await overflow(), 0)
    board.assertNoComplaints()
  })
}

test('light and dark each have their own colours, and all text on them enough contrast', async (t) => {
  const shop = await startShop(t)
  for (const colorScheme of ['light', 'dark'] as const) {
    const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl, look: { colorScheme } })
    const luminance = Number(await board.page.evaluate(luminanceOf('document.documentElement')))
    assert.ok(colorScheme === 'dark' ? luminance < 0.05 : luminance > 0.8, `${colorScheme}: ${luminance}`)
    assert.deepEqual(await board.page.evaluate(faintTexts), [], colorScheme)
  }
})

const channels = `(colour) => colour.match(/[\\d.]+/g).map(Number).slice(0, 3)
  .map((value) => value / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)`

function luminanceOf(element: string): string {
  return `(([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b)((${channels})(getComputedStyle(${element}).backgroundColor))`
}

/** Visible texts with less than WCAG's 4.5:1 against the nearest ground behind them. */
const faintTexts = `(() => {
  const light = (colour) => (([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b)((${channels})(colour))
  const ground = (element) => {
    const { backgroundColor } = getComputedStyle(element)
    return backgroundColor === 'rgba(0, 0, 0, 0)' ? ground(element.parentElement) : backgroundColor
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const faint = []
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    if (walker.currentNode.data.trim() === '' || !element.checkVisibility() || element.closest('.unseen, [role=grid]')) continue
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    if (ratio < 4.5) faint.push(walker.currentNode.data.trim() + ' ' + ratio.toFixed(2))
  }
  return faint
})()`

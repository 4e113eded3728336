// Goal: where buyers are signed the board leaves nobody standing: a token comes with its address, or is asked for.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { launchBrowser } from '../bench/harness/browser.ts'
import { BoardPage } from './helpers/board-page.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { startRedis } from './helpers/services.ts'
import { keysFile, SigningKey, signedEnv } from './helpers/tokens.ts'

const browser = await launchBrowser()
after(() => browser.close())
const redis = await startRedis({ after })
const key = await SigningKey.make('ES256', 'key')
const env = {
  ...signedEnv(keysFile({ after }, [key]).path),
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_ITEM_NUMBER: '60',
}
const shop = await startHttpWorker({ after }, redis, { env })

async function pick(board: BoardPage, x: number): Promise<void> {
  await board.page.locator('canvas').click({ position: { x, y: 20 } })
  await board.page.locator('#item-id').filter({ hasText: /-\d+$/ }).waitFor()
}

test('with a token in the address a purchase needs no user id, and the address loses it', async (t) => {
  const token = await key.token('auth0|ann')
  const board = await BoardPage.open(t, { browser, baseUrl: `${shop.baseUrl}/#token=${token}` })
  assert.ok(!board.page.url().includes(token.slice(0, 20)), board.page.url())
  await pick(board, 20)
  assert.equal(await board.page.getByLabel('Your user id').isVisible(), false)
  await board.button('Check out').click()
  await board.page.getByText('It is held for you.').waitFor()
  await board.button('Purchase').click()
  await board.page.getByText('It is yours.').waitFor()
  board.assertNoComplaints()
})

test('without one the page says what is missing, and takes it', async (t) => {
  const board = await BoardPage.open(t, { browser, baseUrl: shop.baseUrl })
  await pick(board, 200)
  await board.page.getByLabel('Your user id').fill('bob')
  await board.button('Check out').click()
  await board.page.getByText('The request has no token that counts').waitFor()
  await board.page.getByLabel('Your token').fill(await key.token('bob'))
  await board.button('Check out').click()
  await board.page.getByText('It is held for you.').waitFor()
})

// Goal: a bug ends the process that it is in, with its stack, wherever faults are caught. Method: each part in a process of
// its own, with a bug in what it calls.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** A long wait is only met when the bug was swallowed and the process lives on. */
const livesOnMs = 60_000

const bug = `() => Promise.reject(new TypeError('the bug'))`
const scripts = {
  'a batch': `
    const { Batcher } = await import('SERVER/selling/batcher.js')
    const { SoldItems } = await import('SERVER/selling/sold-items.js')
    const bounds = { batchCommandsMax: 4, batchesInFlightMax: 2, batchOverlapCommandsMin: 1 }
    const batcher = new Batcher({ ...bounds, commandsWaitingMin: 2, commandsWaitingMax: 9, deadlineMs: 60_000,
      intervalMs: 1_000, sold: new SoldItems(), decide: ${bug}, now: () => performance.now(), onBatch: () => undefined })
    batcher.offer({ sale: 1, index: '1', nonce: 'n', user: 'u', arrivedMs: performance.now(),
      decided() {}, failed() {}, late() {} })`,
  'the board': `
    const { BoardFeed } = await import('SERVER/board/board-feed.js')
    const clock = { now: () => 1, observe() {} }
    new BoardFeed({ shards: [{ number: 0, store: { isUp: true, watch: ${bug}, scanItems: ${bug} }, clock }], clock,
      intervalMs: 1_000, publish() {} }).join()`,
  'the rotation of sales': `
    const { SaleRotation } = await import('SERVER/selling/sale-rotation.js')
    const log = { info() {}, warn() {} }
    const clock = { now: () => Date.now(), observe() {} }
    void new SaleRotation({ shards: [{ number: 0, store: { isUp: true, openSale: ${bug} }, clock }], clock, log,
      directory: { opened() {}, past() {} },
      settings: { intervalMs: 60_000, items: 1, userLimit: 1, holdMs: 1_000, ttlSeconds: 60, shards: 1 } }).start()`,
  'GET /sale': `
    const { SaleView } = await import('SERVER/reading/sale-view.js')
    const view = new SaleView({ sales: { isUp: true, state: ${bug} }, clock: { now: () => 1 },
      intervalMs: 1_000, onUnlisted() {} })
    view.handle({ answer() {}, unavailable() {}, shed() {} })`,
}

for (const [what, script] of Object.entries(scripts)) {
  test(`a bug below ${what} ends the process`, () => {
    const source = script.replaceAll('SERVER', new URL('../server/worker', import.meta.url).href)
    const alive = `setTimeout(() => process.exit(0), ${livesOnMs})\n`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', alive + source], {
      encoding: 'utf8',
    })
    assert.equal(status, 1, stderr)
    assert.match(stderr, /TypeError: the bug\n\s+at /)
  })
}

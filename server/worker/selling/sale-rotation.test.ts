import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { SaleTerms } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import type { Log } from '../../../core/log.ts'
import { SaleDirectory } from './sale-directory.ts'
import { SaleRotation } from './sale-rotation.ts'
import type { SaleSettings } from './sales.ts'

const hourMs = 3_600_000
const sale = 100
const settings: SaleSettings = {
  intervalMs: hourMs,
  items: 50,
  userLimit: 2,
  holdMs: 1_000,
  ttlSeconds: 60,
  shards: 3,
}

interface Listed {
  readonly terms: SaleTerms
  readonly expiresAtMs: number
}

/** Opening as Redis does it: what is listed stays as it is. */
class ListingShard {
  readonly number: number
  readonly listed = new Map<number, Listed>()
  fault: Fault | undefined
  opens = 0
  readonly clock = { observe: () => undefined }
  readonly store = {
    isUp: true,
    openSale: (terms: SaleTerms, ttlSeconds: number, expiresAtMs = terms.closesAtMs + ttlSeconds * 1_000) => {
      this.opens += 1
      if (this.fault !== undefined) return Promise.reject(this.fault)
      const listed = this.listed.get(terms.sale)
      this.listed.set(terms.sale, listed ?? { terms, expiresAtMs })
      return Promise.resolve({ ...(listed ?? { terms, expiresAtMs }), opened: listed === undefined, nowMs: 0 })
    },
    saleState: (number: number) => {
      const listed = this.listed.get(number)
      return Promise.resolve(listed && { ...listed.terms, sold: 0, held: 0, nowMs: 0 })
    },
  }

  constructor(number: number) {
    this.number = number
  }

  away(): void {
    this.store.isUp = false
    this.fault = new Fault('HC_REDIS_UNAVAILABLE', 'away')
  }

  back(): void {
    this.store.isUp = true
    this.fault = undefined
  }
}

function setUp(t: TestContext, { count = 3, spread = 3 } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const shards = Array.from({ length: count }, (_, number) => new ListingShard(number))
  const directory = new SaleDirectory()
  const clock = { ms: sale * hourMs + 1 }
  const said: string[] = []
  const say = (facts: { shard?: number }, message: string) => void said.push(`${facts.shard ?? '-'} ${message}`)
  const log = { info: say, warn: say, error: say } as unknown as Log
  const rotation = new SaleRotation({
    shards,
    directory,
    clock: { now: () => clock.ms },
    settings: { ...settings, shards: spread },
    log,
  })
  t.after(() => rotation.stop())
  /** Until whatever a timer has begun is done. */
  const pass = async (ms: number) => {
    clock.ms += ms
    t.mock.timers.tick(ms)
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  }
  const listing = (number = sale) => shards.filter(({ listed }) => listed.has(number)).map((shard) => shard.number)
  const [first] = shards as [ListingShard]
  return { first, shards, directory, clock, rotation, pass, listing, said }
}

test('a sale is opened at each of its shards, as the first one lists it', async (t) => {
  const { first, shards, rotation, listing, directory } = setUp(t)
  const terms = { sale, opensAtMs: sale * hourMs, closesAtMs: (sale + 1) * hourMs, items: 9, userLimit: 1, holdMs: 5 }
  first.listed.set(sale, { terms: { ...terms, shards: 2 }, expiresAtMs: 77_000 })
  await rotation.start()
  assert.deepEqual(listing(), [0, 1], 'the sale has two shards, whatever the settings say')
  assert.deepEqual(shards[1]?.listed.get(sale), { terms: { ...terms, shards: 2 }, expiresAtMs: 77_000 })
  assert.equal(directory.shardsOf(sale), 2)
  assert.deepEqual(
    [0, 1, 2].map((shard) => rotation.isOpenAt(shard)),
    [true, true, true],
  )
})

test('a shard that is away keeps no other from opening, and gets the sale when it is back', async (t) => {
  const { shards, rotation, listing, pass, said } = setUp(t)
  shards[1]?.away()
  await rotation.start()
  assert.deepEqual(listing(), [0, 2])
  assert.deepEqual(
    [0, 1, 2].map((shard) => rotation.isOpenAt(shard)),
    [true, false, true],
  )
  await pass(250)
  await pass(250)
  shards[1]?.back()
  await pass(250)
  assert.deepEqual([listing(), rotation.isOpenAt(1)], [[0, 1, 2], true])
  assert.deepEqual(
    said.filter((line) => line.includes('trying on')),
    ['1 a sale could not be opened; trying on'],
    'once',
  )
})

test('while the first shard is away the terms are taken from any that lists the sale, and never made up', async (t) => {
  const { first, shards, rotation, listing, pass } = setUp(t)
  first.away()
  await rotation.start()
  assert.deepEqual(listing(), [])
  const terms = { sale, opensAtMs: sale * hourMs, closesAtMs: (sale + 1) * hourMs, items: 9, userLimit: 1, holdMs: 5 }
  shards[2]?.listed.set(sale, { terms: { ...terms, shards: 3 }, expiresAtMs: 88_000 })
  await pass(250)
  assert.deepEqual(listing(), [1, 2])
  first.back()
  await pass(250)
  assert.deepEqual(first.listed.get(sale), { terms: { ...terms, shards: 3 }, expiresAtMs: 88_000 })
})

test('the next sale is opened ten minutes ahead, and one that is past is looked after no more', async (t) => {
  const { rotation, listing, pass, clock, directory } = setUp(t)
  await rotation.start()
  const untilDueMs = (sale + 1) * hourMs - 600_000 - clock.ms
  clock.ms += untilDueMs - 10_000
  await pass(9_999)
  assert.deepEqual(listing(sale + 1), [])
  await pass(10_000)
  assert.deepEqual(listing(sale + 1), [0, 1, 2])
  clock.ms += hourMs
  await pass(10_000)
  assert.equal(rotation.current, sale + 1)
  assert.equal(directory.shardsOf(sale), 3, 'its codes are still out')
})

test('a shard that does not list an open sale any more gets it again, with the terms that the others have', async (t) => {
  const { shards, rotation, listing, pass } = setUp(t)
  await rotation.start()
  const before = shards[2]?.listed.get(sale)
  for (const shard of [0, 2]) {
    shards[shard]?.listed.delete(sale)
    rotation.reopen(sale, shard)
    await pass(0)
    assert.deepEqual(listing(), [0, 1, 2])
    assert.deepEqual(shards[shard]?.listed.get(sale), before)
  }
  const opens = shards.map((shard) => shard.opens)
  rotation.reopen(sale - 40, 1)
  rotation.reopen(sale + 40, 1)
  await pass(0)
  assert.deepEqual(
    shards.map((shard) => shard.opens),
    opens,
    'a sale that is not due is nobody to open',
  )
})

test('a shard that lists other terms is named', async (t) => {
  const { shards, rotation, said } = setUp(t)
  const other = { sale, opensAtMs: 0, closesAtMs: 1, items: 1, userLimit: 1, holdMs: 1, shards: 3 }
  shards[1]?.listed.set(sale, { terms: other, expiresAtMs: 1 })
  await rotation.start()
  assert.ok(said.some((line) => /^1 .*different terms/.test(line)))
})

test('a sale of one shard is opened at the first one alone, and shortly ahead', async (t) => {
  for (const count of [1, 3]) {
    const { rotation, first, listing, clock, pass } = setUp(t, { count, spread: 1 })
    await rotation.start()
    clock.ms = (sale + 1) * hourMs - 15_001
    await pass(10_000)
    assert.deepEqual([listing(), listing(sale + 1)], [[0], []])
    await pass(10_000)
    assert.deepEqual(listing(sale + 1), [0])
    assert.equal(first.opens, 2)
    rotation.stop()
    t.mock.timers.reset()
  }
})

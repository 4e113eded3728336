import assert from 'node:assert/strict'
import { endianness } from 'node:os'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { addressLookIntervalMs } from '../limits.ts'
import { AddressCounts } from './address-counts.ts'
import { addressKey } from './client-address.ts'
import { countClients } from './socket-table.ts'

const mine = Uint8Array.of(10, 0, 0, 1)
const other = Uint8Array.of(10, 0, 0, 2)

test('an address is refused what exceeds its bound, and another one is not', () => {
  const counts = new AddressCounts({ max: 3, workers: 1, look: () => new Promise(() => undefined) })
  const answers = Array.from({ length: 5 }, () => counts.opened(mine.buffer))
  assert.deepEqual(answers, [true, true, true, false, false])
  assert.equal(counts.opened(other.buffer), true)
})

test('closed connections count until the next look, and no longer', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const open = new Map([[addressKey(mine), 0]])
  const counts = new AddressCounts({ max: 3, workers: 1, look: () => Promise.resolve(new Map(open)) })
  for (let n = 0; n < 4; n++) counts.opened(mine.buffer)
  assert.equal(counts.opened(mine.buffer), false, 'all of them are closed, but this is not known yet')
  await nextTurn()
  t.mock.timers.tick(addressLookIntervalMs)
  await nextTurn()
  open.set(addressKey(mine), 3)
  assert.equal(counts.opened(mine.buffer), true, 'above half of the bound it looks again')
  t.mock.timers.tick(addressLookIntervalMs)
  await nextTurn()
  assert.equal(counts.opened(mine.buffer), false, 'those that are open stay counted')
})

test('whoever comes back to a worker is taken to get as many from the others as well, until the next look', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const open = new Map([[addressKey(mine), 9]])
  const counts = new AddressCounts({ max: 16, workers: 4, look: () => Promise.resolve(new Map(open)) })
  assert.deepEqual(
    Array.from({ length: 6 }, () => counts.opened(mine.buffer)),
    [true, true, true, true, false, false],
  )
  await nextTurn()
  // The third one made it look: 9, and 4 for the one that came after.
  assert.equal(counts.opened(mine.buffer), true)
  assert.equal(counts.opened(mine.buffer), false)
})

test('a bound below the number of workers lets an address have a connection, and one that is refused does not count', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const open = new Map<string, number>()
  for (const workers of [1, 4, 256]) {
    const counts = new AddressCounts({ max: 1, workers, look: () => Promise.resolve(new Map(open)) })
    open.set(addressKey(mine), 1) // the first look finds the one that made it look
    assert.equal(counts.opened(mine.buffer), true, `${workers} workers`)
    for (let n = 0; n < 100; n++) assert.equal(counts.opened(mine.buffer), false)
    await nextTurn()
    assert.equal(counts.opened(mine.buffer), false, 'it is open still')
    open.clear()
    t.mock.timers.tick(addressLookIntervalMs)
    await nextTurn()
    assert.equal(counts.opened(mine.buffer), true, 'it is closed, and the refused ones do not count')
  }
})

test('workers together accept no more than the bound, and one more at each but one', async () => {
  for (const [max, workers] of [
    [1, 4],
    [3, 2],
    [10, 4],
    [100, 7],
  ] as const) {
    let open = 0
    // As the kernel does it finds what all have accepted, the one that made it look among them.
    const look = () => Promise.resolve().then(() => new Map([[addressKey(mine), open]]))
    const all = Array.from({ length: workers }, () => new AddressCounts({ max, workers, look }))
    for (let round = 0; round < 3 * max; round++) {
      for (const counts of all) if (counts.opened(mine.buffer)) open += 1
      await nextTurn()
    }
    assert.ok(open >= max && open <= max + workers - 1, `${open} of ${max} at ${workers} workers`)
  }
})

test('a system that cannot say refuses nobody for long', async () => {
  const error = Object.assign(new Error('ENOENT'), { code: 'ENOENT', syscall: 'open' })
  const counts = new AddressCounts({ max: 2, workers: 1, look: () => Promise.reject(error) })
  assert.equal(counts.opened(mine.buffer), true)
  assert.equal(counts.opened(mine.buffer), true)
  await nextTurn()
  assert.equal(counts.opened(mine.buffer), true)
})

test('an IPv6 address counts as its /64, a mapped IPv4 address as that', () => {
  const ipv6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8)
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1)
  assert.equal(addressKey(ipv6), addressKey(ipv6.with(15, 9)))
  assert.notEqual(addressKey(ipv6), addressKey(ipv6.with(7, 9)))
  assert.equal(addressKey(mapped), addressKey(mine))
  assert.notEqual(addressKey(mine), addressKey(other))
})

test("the kernel's tables are read for one port, and open connections alone", { skip: endianness() !== 'LE' }, () => {
  const ipv4 = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0',
    '   1: 0100000A:1F90 0100000A:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1',
    '10002: 0100000A:1F90 0200000A:D432 08 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1',
    '   3: 0100000A:1F90 0100000A:D433 06 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1',
    '   4: 0100000A:D431 0100000A:1F90 01 00000000:00000000 00:00000000 00000000     0        0 5 1 0 20 4 30 10 -1',
    '   5: 0100000A:1F91 0100000A:D434 01 00000000:00000000 00:00000000 00000000     0        0 6 1 0 20 4 30 10 -1',
  ].join('\n')
  const ipv6 =
    '   0: 0000000000000000FFFF00000100000A:1F90 0000000000000000FFFF00000100000A:D435 01 00000000:00000000 00:00000000 00000000 0 0 7 1 0 20 4 30 10 -1'
  const counts = new Map<string, number>()
  countClients(ipv4, 8080, counts)
  countClients(ipv6, 8080, counts)
  assert.deepEqual([counts.get(addressKey(mine)), counts.get(addressKey(other)), counts.size], [2, 1, 2])
})

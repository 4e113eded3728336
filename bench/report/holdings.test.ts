import assert from 'node:assert/strict'
import { test } from 'node:test'
import { growthOf, holdingsText } from './holdings.ts'
import type { Holding } from './report.ts'

const mebibyte = 2 ** 20

/** A look a minute. */
function looks(count: number, of: (minute: number) => { mebibytes: number; descriptors: number }): Holding[] {
  return Array.from({ length: count }, (_, at) => {
    const { mebibytes, descriptors } = of(at + 1)
    const holds = { processes: 1, residentBytes: mebibytes * mebibyte, descriptors }
    return { second: 60 * (at + 1), byRole: { primary: holds, Redis: { ...holds, descriptors: 20 } } }
  })
}

test('what fills in the first quarter is no growth, and a spike is none either', () => {
  const filled = looks(60, (minute) => ({ mebibytes: Math.min(100, 50 + 5 * minute), descriptors: 30 }))
  assert.deepEqual(growthOf(filled), [])
  const spiked = looks(60, (minute) => ({ mebibytes: minute === 55 ? 400 : 100, descriptors: 30 }))
  assert.deepEqual(growthOf(spiked), [])
})

test('what goes on growing is named, with its share', () => {
  const grown = growthOf(looks(60, (minute) => ({ mebibytes: 100 + minute, descriptors: 30 + minute })))
  assert.deepEqual(
    grown.map(({ role, what, share }) => `${role} ${what} ${share.toFixed(2)}`),
    ['Redis memory 0.24', 'primary memory 0.24', 'primary descriptors 0.57'],
  )
})

test('a short run says nothing about growth', () => {
  assert.deepEqual(growthOf(looks(7, (minute) => ({ mebibytes: 100 * minute, descriptors: minute }))), [])
})

test('the table shows the first look, the last and some between, of each role', () => {
  const lines = holdingsText(looks(60, (minute) => ({ mebibytes: 100 + minute, descriptors: minute })))
  assert.match(lines[0] ?? '', /^held after +1 min +13 min +25 min +36 min +48 min +60 min$/)
  assert.match(lines.join('\n'), /^primary, memory +101 MiB .* 160 MiB$/m)
  assert.match(lines.join('\n'), /^Redis, descriptors +20 /m)
  assert.equal(holdingsText(looks(1, () => ({ mebibytes: 1, descriptors: 1 }))).length > 1, true)
})

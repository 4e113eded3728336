import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Report } from '../report/report.ts'
import { anyReport, anyRun } from '../report/test-report.ts'
import { compare } from './comparison.ts'
import { comparisonText } from './comparison-text.ts'
import { chanceApart, judge, spread } from './noise.ts'
import { comparisonPage } from './page.ts'

const reportOf = (perSecond: readonly number[], overrides: Partial<Report> = {}): Report =>
  anyReport({ runs: perSecond.map((rate) => anyRun({ perSecond: rate })), ...overrides })

const holdsOf = (...reports: Report[]) => {
  const row = compare(reports).rows.find(({ metric }) => metric.name === 'holds')
  assert.ok(row)
  return row.cells
}

test('repeats that lie apart are a clear difference, when there are enough of them', () => {
  const [, cell] = holdsOf(reportOf([100, 110, 120]), reportOf([130, 140, 150]))
  assert.equal(cell?.verdict, 'clear')
  assert.equal(cell?.ratio, 140 / 110)
})

test('repeats that overlap are noise, however far their medians are apart', () => {
  const [, cell] = holdsOf(reportOf([100, 110, 200]), reportOf([130, 180, 190]))
  assert.equal(cell?.verdict, 'noise')
})

test('too few repeats prove nothing either way', () => {
  for (const [a, b] of [
    [[100], [200]],
    [
      [100, 101],
      [200, 201],
    ],
  ] as const)
    assert.equal(judge(spread(a), spread(b)), 'unknown')
  assert.match(comparisonText(compare([reportOf([100]), reportOf([200])])), /too few to tell a difference from noise/)
})

test('the chance that equal things lie apart falls with the repeats', () => {
  assert.equal(chanceApart(1, 1), 1)
  assert.equal(chanceApart(3, 3), 2 / 20)
  assert.equal(chanceApart(5, 5), 2 / 252)
  assert.equal(chanceApart(2, 5), chanceApart(5, 2))
})

test('a spread has the median of an even number between its middle two', () => {
  assert.deepEqual(spread([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4, count: 4 })
})

test('better and worse depend on the metric', () => {
  const slow = anyRun()
  const fast = anyRun({ use: { Redis: { cpuSeconds: 0.05, processes: 1, peakBytes: 2 ** 20 } } })
  const text = comparisonText(
    compare([
      anyReport({ label: 'before', runs: [slow, slow, slow] }),
      anyReport({ label: 'after', runs: [fast, fast, fast] }),
    ]),
  )
  assert.match(text, /CPU, Redis.*×0\.50 +clear, better/)
})

test('a run that is no result is left out, and a report of nothing else is refused', () => {
  const bad = anyRun({ perSecond: 9_999, problems: ['the audit found breaches'] })
  const mixed = anyReport({ runs: [anyRun({ perSecond: 100 }), bad] })
  assert.equal(compare([mixed]).rows.find(({ metric }) => metric.name === 'holds')?.cells[0]?.spread.max, 100)
  assert.match(compare([mixed]).warnings.join(), /1 of 2 runs are no results/)
  assert.throws(() => compare([anyReport({ runs: [bad] })]), /no run that is a result: the audit found breaches/)
})

test('what differs besides the code is named', () => {
  const base = anyReport({ label: 'a' })
  const other = anyReport({
    label: 'b',
    settings: { ...base.settings, connections: 7 },
    machine: { ...base.machine, cores: 64, commit: 'fedcba' },
  })
  const warnings = compare([base, other]).warnings
  assert.deepEqual(warnings, ['b: connections is 7, not 128', 'b: cores is 64, not 2'])
})

test('the page needs nothing from anywhere, and shows labels as text', () => {
  const page = comparisonPage(compare([anyReport({ label: '</script><b>x' }), anyReport({ scenario: 'steady' })]))
  assert.doesNotMatch(page, /(src|href)=|@import|url\(/)
  assert.doesNotMatch(page, /\{\{/)
  assert.equal(page.includes('</script><b>x'), false)
  const data = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)?.[1] ?? ''
  const { reports } = JSON.parse(data) as { reports: { title: string; curves: { checkout: { ms: number[] } } }[] }
  assert.deepEqual(
    reports.map(({ title }) => title),
    ['</script><b>x', 'steady'],
  )
  assert.ok(reports.every(({ curves }) => curves.checkout.ms.length > 10))
})

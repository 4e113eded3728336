import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { projectRoot } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { anyReport } from '../report/test-report.ts'
import { performanceSection, sectionIn, withSection } from './performance-section.ts'
import { shownReports } from './shown-reports.ts'

test("the README's performance section is what the stored reports say", () => {
  const readme = readFileSync(new URL('README.md', projectRoot()), 'utf8')
  const current = performanceSection(shownReports(reportsFolder()))
  assert.equal(sectionIn(readme), current, 'it is stale: npm run bench:readme')
})

test('a scenario of the original has its numbers in the next column, with a caveat', () => {
  const section = performanceSection([anyReport({ scenario: 'balanced' })])
  assert.match(section, /\*\*balanced\*\* \| the original, scenario 2/)
  assert.match(section, /p99 \| [\d.]+ ms \| 63\.5 ms/)
  assert.match(section, /machine, its load and what it\ncounted as a success are not known/)
})

test('a run that is no result is not shown', () => {
  const report = anyReport({ scenario: 'balanced' })
  const [run] = report.runs
  assert.ok(run)
  const section = performanceSection([{ ...report, runs: [run, { ...run, achievedPerSecond: 1e9, problems: ['no'] }] }])
  assert.doesNotMatch(section, /1,000,000,000/)
})

test('a README without markers is refused, not appended to', () => {
  assert.throws(() => withSection('# hotcakes\n', 'text'), /performance:begin/)
})

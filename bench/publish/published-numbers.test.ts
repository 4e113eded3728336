import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { projectRoot } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { anyReport } from '../report/test-report.ts'
import { headline } from './headline.ts'
import { sectionIn, withSection } from './marked-section.ts'
import { performanceSection } from './performance-section.ts'
import { publishedReports } from './published-reports.ts'

const stored = publishedReports(reportsFolder())

function documentAt(path: string): string {
  return readFileSync(new URL(path, projectRoot()), 'utf8')
}

test('the numbers of docs/PERFORMANCE.md and of README.md are what the stored reports say', () => {
  const stale = 'it is stale: npm run bench:publish'
  assert.equal(sectionIn(documentAt('docs/PERFORMANCE.md'), 'performance'), performanceSection(stored), stale)
  assert.equal(sectionIn(documentAt('README.md'), 'headline'), headline(stored), stale)
})

test('a scenario of the original has its numbers in the next column, with a caveat', () => {
  const section = performanceSection([anyReport({ scenario: 'balanced' })])
  assert.match(section, /\*\*balanced\*\* \| the original, scenario 2/)
  assert.match(section, /p99 \| [\d.]+ ms \| 63\.5 ms/)
  assert.match(section, /its machine, its load and\nwhat it counted as a success are not known/)
})

test('a run that is no result is not shown', () => {
  const report = anyReport({ scenario: 'balanced' })
  const [run] = report.runs
  assert.ok(run)
  const reports = [{ ...report, runs: [run, { ...run, achievedPerSecond: 1e9, problems: ['no'] }] }]
  assert.doesNotMatch(performanceSection(reports), /1,000,000,000/)
  assert.doesNotMatch(headline(reports), /1,000,000,000/)
})

test('the headline says how the load came, and what is on record', () => {
  assert.match(headline([anyReport({ scenario: 'balanced' })]), /^- `balanced` with \d+ connections: .* each once\.$/m)
})

test('a document without markers is refused, not appended to', () => {
  assert.throws(() => withSection('# hotcakes\n', 'headline', 'text'), /headline:begin/)
})

// npm run bench:compare: load reports side by side, on the terminal or as a page.

import { writeFileSync } from 'node:fs'
import { type Command, type Options, runCommand, UsageError } from '../../core/command-line.mjs'
import type { Report } from '../report/report.ts'
import { readReport } from '../report/store.ts'
import { type Comparison, compare } from './comparison.ts'
import { comparisonText } from './comparison-text.ts'
import { comparisonPage } from './page.ts'
import { pooled } from './pool.ts'

const compareCommand = {
  name: 'npm run bench:compare',
  operands: 'REPORT.json...',
  purpose: `Puts load reports side by side, each against the first, and says which differences are within the noise of the
    repeats. Reports of one scenario with the same label, commit and settings count as repeats of one another.`,
  options: {
    html: { value: 'OUT.html', read: String, doc: 'writes one page with plots too, which needs nothing but a browser' },
  },
  exits: { 1: "a report can't be read, or the page not be written" },
} satisfies Command<Options>

process.exitCode = await runCommand(compareCommand, process.argv.slice(2), ({ html }, files) => {
  if (files.length === 0) throw new UsageError('name at least one report')
  try {
    const reports: Report[] = pooled(files.map(readReport))
    const comparison: Comparison = compare(reports)
    process.stdout.write(comparisonText(comparison))
    if (html !== undefined) {
      writeFileSync(html, comparisonPage(comparison))
      process.stdout.write(`page: ${html}\n`)
    }
    return 0
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  }
})

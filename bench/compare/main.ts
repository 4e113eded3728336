// npm run bench:compare: load reports side by side, on the terminal or as a page.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Report } from '../report/report.ts'
import { readReport } from '../report/store.ts'
import { type Comparison, compare } from './comparison.ts'
import { comparisonText } from './comparison-text.ts'
import { comparisonPage } from './page.ts'
import { pooled } from './pool.ts'

const usage = `usage: npm run bench:compare -- A.json [B.json ...] [--html OUT.html]

Puts load reports side by side, each against the first, and says which differences are within the noise of the repeats.
Reports of one scenario with the same label, commit and settings count as repeats of one another.
--html also writes one page with plots, which needs nothing but a browser.
`

process.exitCode = main(process.argv.slice(2))

function main(args: readonly string[]): number {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { html: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
    if (values.help === true || positionals.length === 0) {
      process.stdout.write(usage)
      return values.help === true ? 0 : 2
    }
    const reports: Report[] = pooled(positionals.map(readReport))
    const comparison: Comparison = compare(reports)
    process.stdout.write(comparisonText(comparison))
    if (values.html !== undefined) {
      writeFileSync(values.html, comparisonPage(comparison))
      process.stdout.write(`page: ${values.html}\n`)
    }
    return 0
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  }
}

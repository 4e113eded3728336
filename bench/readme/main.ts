// npm run bench:readme: writes the README's performance section from stored reports.

import { readFileSync, writeFileSync } from 'node:fs'
import { projectRoot } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { performanceSection, withSection } from './performance-section.ts'
import { show, shownReports } from './shown-reports.ts'

const usage = `usage: npm run bench:readme -- [REPORT.json ...]

Writes the performance section of README.md from the reports that bench/reports/readme.json names. Reports that are given
(they must be in bench/reports) take the place of those of the same scenario in that list.
`

process.exitCode = main(process.argv.slice(2))

function main(args: readonly string[]): number {
  if (args.some((arg) => arg.startsWith('-'))) {
    process.stdout.write(usage)
    return args.includes('--help') || args.includes('-h') ? 0 : 2
  }
  const readme = new URL('README.md', projectRoot())
  try {
    if (args.length > 0) show(reportsFolder(), args)
    const section = performanceSection(shownReports(reportsFolder()))
    writeFileSync(readme, withSection(readFileSync(readme, 'utf8'), section))
    return 0
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  }
}

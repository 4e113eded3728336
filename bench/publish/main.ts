// npm run bench:publish: writes the numbers of docs/PERFORMANCE.md and README.md from stored reports.

import { readFileSync, writeFileSync } from 'node:fs'
import { projectRoot } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { headline } from './headline.ts'
import { type SectionName, withSection } from './marked-section.ts'
import { performanceSection } from './performance-section.ts'
import { publish, publishedReports } from './published-reports.ts'

const usage = `usage: npm run bench:publish -- [REPORT.json ...]

Writes the performance numbers of docs/PERFORMANCE.md and README.md from the reports that bench/reports/published.json names.
Reports that are given (they must be in bench/reports) take the place of those of the same scenario in that list.
`

process.exitCode = main(process.argv.slice(2))

function main(args: readonly string[]): number {
  if (args.some((arg) => arg.startsWith('-'))) {
    process.stdout.write(usage)
    return args.includes('--help') || args.includes('-h') ? 0 : 2
  }
  try {
    if (args.length > 0) publish(reportsFolder(), args)
    const reports = publishedReports(reportsFolder())
    write('docs/PERFORMANCE.md', 'performance', performanceSection(reports))
    write('README.md', 'headline', headline(reports))
    return 0
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  }
}

function write(path: string, name: SectionName, section: string): void {
  const file = new URL(path, projectRoot())
  writeFileSync(file, withSection(readFileSync(file, 'utf8'), name, section))
}

// npm run bench:publish: writes the numbers of docs/PERFORMANCE.md and README.md from stored reports.

import { readFileSync, writeFileSync } from 'node:fs'
import { type Command, type Options, runCommand } from '../../core/command-line.mjs'
import { projectRoot } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { headline } from './headline.ts'
import { type SectionName, withSection } from './marked-section.ts'
import { performanceSection } from './performance-section.ts'
import { publish, publishedReports } from './published-reports.ts'

const publishCommand = {
  name: 'npm run bench:publish',
  operands: '[REPORT.json...]',
  purpose: `Writes the performance numbers of docs/PERFORMANCE.md and README.md from the reports that
    bench/reports/published.json names. Reports that are given (they must be in bench/reports) take the place of those of the
    same scenario in that list.`,
  options: {},
  exits: { 0: 'written', 1: "a report can't be read or shown" },
} satisfies Command<Options>

process.exitCode = await runCommand(publishCommand, process.argv.slice(2), (_, given) => {
  try {
    if (given.length > 0) publish(reportsFolder(), given)
    const reports = publishedReports(reportsFolder())
    write('docs/PERFORMANCE.md', 'performance', performanceSection(reports))
    write('README.md', 'headline', headline(reports))
    return 0
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  }
})

function write(path: string, name: SectionName, section: string): void {
  const file = new URL(path, projectRoot())
  writeFileSync(file, withSection(readFileSync(file, 'utf8'), name, section))
}

// npm run bench:readme: writes the README's performance section from stored reports.

import { readFileSync, writeFileSync } from 'node:fs'
import { type Command, type Options, runCommand } from '../../core/command-line.mjs'
import { projectRoot } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { performanceSection, withSection } from './performance-section.ts'
import { show, shownReports } from './shown-reports.ts'

const readmeCommand = {
  name: 'npm run bench:readme',
  operands: '[REPORT.json...]',
  purpose: `Writes the performance section of README.md from the reports that bench/reports/readme.json names. Reports that are
    given (they must be in bench/reports) take the place of those of the same scenario in that list.`,
  options: {},
  exits: { 0: 'written', 1: "a report can't be read or shown" },
} satisfies Command<Options>

process.exitCode = await runCommand(readmeCommand, process.argv.slice(2), (_, reports) => {
  const readme = new URL('README.md', projectRoot())
  try {
    if (reports.length > 0) show(reportsFolder(), reports)
    const section = performanceSection(shownReports(reportsFolder()))
    writeFileSync(readme, withSection(readFileSync(readme, 'utf8'), section))
    return 0
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  }
})

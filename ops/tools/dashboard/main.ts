// npm run dashboard: writes the Grafana dashboard that the rows beside this file describe.

import { writeFileSync } from 'node:fs'

import { type Command, type Options, runCommand } from '../../../core/command-line.mjs'
import { dashboardFile, dashboardText } from './dashboard.ts'

const dashboardCommand = {
  name: 'npm run dashboard',
  purpose: `Writes ${dashboardFile} anew, from its description in ops/tools/dashboard. A test holds the two together.`,
  options: {},
  exits: { 1: 'it could not be written' },
} satisfies Command<Options>

process.exitCode = await runCommand(dashboardCommand, process.argv.slice(2), () => {
  writeFileSync(dashboardFile, dashboardText())
  process.stdout.write(`${dashboardFile}\n`)
})

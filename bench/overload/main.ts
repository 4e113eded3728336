// npm run bench:overload: what becomes of a server that is offered several times what it can serve.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, type Options, runCommand, type Values, wholeNumber } from '../../core/command-line.mjs'
import { benchedMachine } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { type Plan, runExperiment } from './experiment.ts'
import { plannedPinning } from './pinning.ts'
import { resultText } from './result-text.ts'
import { goalsOf, problemsOf } from './verdict.ts'

const positive = wholeNumber({ min: 1 })

const overloadCommand = {
  name: 'npm run bench:overload',
  purpose:
    'Offers a server several times what it can serve, and says what becomes of those that it serves and of the others.',
  options: {
    seconds: { value: 'N', read: positive, default: 60, doc: 'length of the overload' },
    times: { value: 'N', read: positive, default: 5, doc: 'offered rate, in multiples of the peak' },
    connections: { value: 'N', read: positive, default: 8_000, doc: 'of the generator' },
    workers: {
      value: 'N',
      read: wholeNumber(),
      default: 0,
      defaultMeans: 'one per core that it has',
      doc: 'HTTP workers of the server',
    },
    deadline: { value: 'N', read: positive, default: 500, doc: 'APP_DEADLINE_MS of the server' },
    smoke: { doc: 'a second for each phase, to see that it works' },
    unpinned: { doc: 'server and generator share all cores' },
    out: {
      value: 'FOLDER',
      read: String,
      default: reportsFolder(),
      defaultMeans: 'bench/reports',
      doc: 'for the report',
    },
  },
  exits: { 0: 'a valid report', 1: 'the run was not as it must be: the report says why' },
} satisfies Command<Options>

function planOf(asked: Values<typeof overloadCommand.options>): Plan {
  const pinning = asked.unpinned ? undefined : plannedPinning()
  const perCore = pinning === undefined ? 0 : coresIn(pinning.server)
  return {
    seconds: asked.smoke ? 1 : asked.seconds,
    times: asked.times,
    connections: asked.connections,
    workers: asked.workers === 0 ? perCore : asked.workers,
    deadlineMs: asked.deadline,
    pinning,
    isSmoke: asked.smoke,
  }
}

/** Of `0` or `0-6`. */
function coresIn(range: string): number {
  const [first = 0, last = first] = range.split('-').map(Number)
  return last - first + 1
}

process.exitCode = await runCommand(overloadCommand, process.argv.slice(2), async (asked) => {
  const plan = planOf(asked)
  const startedAt = new Date().toISOString()
  const machine = benchedMachine()
  const result = await runExperiment(plan, (text) => process.stderr.write(`${text}\n`))
  const goals = goalsOf(result, plan)
  const problems = problemsOf(result, plan)
  const start = startedAt.slice(0, 19).replaceAll(/[-:]/g, '')
  mkdirSync(asked.out, { recursive: true })
  const report = {
    format: 'hotcakes overload report',
    version: 1,
    startedAt,
    machine,
    options: plan,
    goals,
    problems,
    outcome: result,
  }
  const file = join(asked.out, `overload-${start}Z-${machine.commit.slice(0, 7)}.json`)
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(resultText(result, plan, { goals, problems }))
  return problems.length === 0 ? 0 : 1
})

// npm run bench:overload: what becomes of a server that is offered several times what it can serve.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchedMachine } from '../report/machine.ts'
import { reportsFolder } from '../report/store.ts'
import { type Options, runExperiment } from './experiment.ts'
import { outcomeText } from './outcome-text.ts'
import { plannedPinning } from './pinning.ts'
import { goalsOf, problemsOf } from './verdict.ts'

const usage = `npm run bench:overload -- [options]
  --seconds N       length of the overload (default 60)
  --times N         offered rate, in multiples of the peak (default 5)
  --connections N   of the generator (default 8000)
  --workers N       HTTP workers of the server (default: one per core that it has)
  --deadline N      APP_DEADLINE_MS of the server (default 500)
  --smoke           a second for each phase, to see that it works
  --unpinned        server and generator share all cores
  --out FOLDER      for the report (default bench/reports)
`

function readOptions(): { options: Options; out: string } | undefined {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      times: { type: 'string', default: '5' },
      connections: { type: 'string', default: '8000' },
      workers: { type: 'string', default: '0' },
      deadline: { type: 'string', default: '500' },
      smoke: { type: 'boolean', default: false },
      unpinned: { type: 'boolean', default: false },
      out: { type: 'string', default: reportsFolder() },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const [seconds, times, connections, workers, deadlineMs] = (
    ['seconds', 'times', 'connections', 'workers', 'deadline'] as const
  ).map((name) => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < (name === 'workers' ? 0 : 1))
      throw new Error(`--${name} must be a whole number above 0`)
    return value
  }) as [number, number, number, number, number]
  const pinning = values.unpinned ? undefined : plannedPinning()
  const perCore = pinning === undefined ? 0 : coresIn(pinning.server)
  return {
    options: {
      seconds: values.smoke ? 1 : seconds,
      times,
      connections,
      workers: workers === 0 ? perCore : workers,
      deadlineMs,
      pinning,
      isSmoke: values.smoke,
    },
    out: values.out,
  }
}

/** Of `0` or `0-6`. */
function coresIn(range: string): number {
  const [first = 0, last = first] = range.split('-').map(Number)
  return last - first + 1
}

async function main(): Promise<number> {
  const asked = readOptions()
  if (asked === undefined) {
    process.stdout.write(usage)
    return 0
  }
  const { options, out } = asked
  const startedAt = new Date().toISOString()
  const machine = benchedMachine()
  const outcome = await runExperiment(options, (text) => process.stderr.write(`${text}\n`))
  const goals = goalsOf(outcome, options)
  const problems = problemsOf(outcome, options)
  const start = startedAt.slice(0, 19).replaceAll(/[-:]/g, '')
  mkdirSync(out, { recursive: true })
  const report = {
    format: 'hotcakes overload report',
    version: 1,
    startedAt,
    machine,
    options,
    goals,
    problems,
    outcome,
  }
  const file = join(out, `overload-${start}Z-${machine.commit.slice(0, 7)}.json`)
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(outcomeText(outcome, options, { goals, problems }))
  return problems.length === 0 ? 0 : 1
}

process.exitCode = await main()

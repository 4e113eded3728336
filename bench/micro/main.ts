// Micro-benchmarks of the parts of hotcakes that a request passes through, each beside other ways to do the same.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describeMachine } from '../harness/machine.ts'
import { batchDecode } from './batch-decode.ts'
import { batchEncode } from './batch-encode.ts'
import { codeIssue } from './code-issue.ts'
import { codeParse } from './code-parse.ts'
import { copyEncode } from './copy-encode.ts'
import { copyRate } from './copy-rate.ts'
import { eventDecode } from './event-decode.ts'
import { itemLook } from './item-look.ts'
import { type MeasuredCase, type MeasureSettings, measureCase } from './measure.ts'
import { metricsOverhead } from './metrics-overhead.ts'
import { rateLimit } from './rate-limit.ts'
import { redisFunction } from './redis-function.ts'
import { replyBuilding } from './reply-building.ts'
import { caseText, headerText, type MicroReport } from './report.ts'
import { requestParsing } from './request-parsing.ts'
import type { Subject } from './subject.ts'

/** In the order in which a command meets them. */
const subjects: readonly Subject[] = [
  rateLimit,
  requestParsing,
  codeParse,
  codeIssue,
  batchEncode,
  redisFunction,
  batchDecode,
  replyBuilding,
  metricsOverhead,
  eventDecode,
  copyEncode,
  copyRate,
  itemLook,
]

const usage = `npm run bench:micro -- [options]
  --filter TEXT   only the subjects whose names contain it; can be given several times
  --list          the subjects, and what they compare
  --rounds N      times that each candidate is measured, in turn with the others (default 5)
  --ms N          how long in each round (default 300)
  --json [FILE]   the report as JSON, into the file or, without one, instead of the table
  --smoke         a moment of each, to see that they work

All of it takes some four minutes. Candidates whose results differ are not measured: their case is void, and the exit
code 1. Ctrl+C ends it with what was measured so far. copy-rate starts a hotcakes for its PostgreSQL; with DB_HOST (and
DB_PORT, DB_USER, DB_PASSWORD, DB_NAME) in the environment it uses that one, in a schema of its own that it drops again.
`

const samplesMin = 8
const smokeSettings = { rounds: 1, ms: 1, samplesMin: 2 }

interface Options {
  readonly chosen: readonly Subject[]
  readonly smoke: boolean
  /** undefined: a table; '' JSON to the terminal. */
  readonly json: string | undefined
  readonly settings: Omit<MeasureSettings, 'signal'>
}

class UsageError extends Error {}

function readOptions(): Options | 'help' | 'list' {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      filter: { type: 'string', multiple: true, default: [] },
      list: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      ms: { type: 'string', default: '300' },
      json: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  if (values.list) return 'list'
  if (positionals.length > (values.json ? 1 : 0)) throw new UsageError(`what is ${positionals.at(-1)}?`)
  const { filter, smoke } = values
  const chosen = subjects.filter(({ name }) => filter.length === 0 || filter.some((part) => name.includes(part)))
  if (chosen.length === 0) throw new UsageError(`no subject has ${filter.join(' or ')} in its name; see --list`)
  const settings = smoke
    ? smokeSettings
    : { rounds: positive('rounds', values.rounds), ms: positive('ms', values.ms), samplesMin }
  return { chosen, smoke, json: values.json ? (positionals[0] ?? '') : undefined, settings }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(Number.isInteger(value) && value > 0)) throw new UsageError(`--${name} must be a whole number above 0`)
  return value
}

async function measure({ chosen, smoke, json, settings }: Options): Promise<MicroReport> {
  const interrupted = new AbortController()
  // Once: a second signal ends it at once.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort())
  const { signal } = interrupted
  const machine = describeMachine()
  const head = { machine, settings: { rounds: settings.rounds, msPerRound: settings.ms, smoke } }
  const show = (text: string) => (json === '' ? process.stderr : process.stdout).write(text)
  const startedAt = new Date().toISOString()
  show(headerText(head))

  const cases: MeasuredCase[] = []
  try {
    for (const subject of chosen) {
      for await (const one of subject.cases({ smoke })) {
        const measured = await measureCase(subject.name, one, { ...settings, signal })
        cases.push(measured)
        show(caseText(measured))
      }
    }
  } catch (error) {
    // A terminal's Ctrl+C reaches our services as well, so whatever fails after it is its doing.
    if (!signal.aborted) throw error
  }
  if (signal.aborted) show('\ninterrupted: what was measured so far is above\n')
  return { ...head, startedAt, isComplete: !signal.aborted, cases }
}

async function main(): Promise<void> {
  const options = readOptions()
  if (options === 'help') process.stdout.write(usage)
  else if (options === 'list') {
    for (const { name, about } of subjects) process.stdout.write(`${name.padEnd(18)}${about}\n`)
  } else {
    const report = await measure(options)
    const text = `${JSON.stringify(report, null, 2)}\n`
    if (options.json === '') process.stdout.write(text)
    else if (options.json !== undefined) writeFileSync(options.json, text)
    const isValid = report.isComplete && report.cases.every((one) => one.void === undefined)
    process.exitCode = isValid ? 0 : 1
  }
}

try {
  await main()
} catch (error) {
  const isUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')
  if (!isUsage) throw error
  process.stderr.write(`${(error as Error).message}\n\n${usage}`)
  process.exitCode = 2
}

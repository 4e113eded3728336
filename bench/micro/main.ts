// Micro-benchmarks of the parts of hotcakes that a request passes through, each beside other ways to do the same.

import { writeFileSync } from 'node:fs'
import {
  type Command,
  type Options,
  runCommand,
  UsageError,
  type Values,
  wholeNumber,
} from '../../core/command-line.mjs'
import { describeMachine } from '../harness/machine.ts'
import { batchDecode } from './batch-decode.ts'
import { batchEncode } from './batch-encode.ts'
import { codeIssue } from './code-issue.ts'
import { codeParse } from './code-parse.ts'
import { copyEncode } from './copy-encode.ts'
import { copyRate } from './copy-rate.ts'
import { directCalls } from './direct-calls.ts'
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
import { tokenCheck } from './token-check.ts'

/** In the order in which a command meets them. */
const subjects: readonly Subject[] = [
  rateLimit,
  tokenCheck,
  requestParsing,
  codeParse,
  codeIssue,
  batchEncode,
  directCalls,
  redisFunction,
  batchDecode,
  replyBuilding,
  metricsOverhead,
  eventDecode,
  copyEncode,
  copyRate,
  itemLook,
]

const positive = wholeNumber({ min: 1 })

const microCommand = {
  name: 'npm run bench:micro',
  operands: '[FILE]',
  purpose: `Measures the parts of hotcakes that a request passes through, each beside other ways to do the same. All of it takes
    some four minutes; Ctrl+C ends it with what was measured so far. Candidates whose results differ are not measured: their
    case is void.

    copy-rate starts a hotcakes for its PostgreSQL; with DB_HOST (and DB_PORT, DB_USER, DB_PASSWORD, DB_NAME) in the environment
    it uses that one, in a schema of its own that it drops again.`,
  options: {
    filter: {
      value: 'TEXT',
      read: String,
      multiple: true,
      doc: 'only the subjects whose names contain it; may be given several times',
    },
    list: { doc: 'the subjects, and what they compare' },
    rounds: {
      value: 'N',
      read: positive,
      default: 5,
      doc: 'times that each candidate is measured, in turn with the others',
    },
    ms: { value: 'N', read: positive, default: 300, doc: 'how long in each round' },
    json: { doc: 'the report as JSON, into FILE or, without one, instead of the table' },
    smoke: { doc: 'a moment of each, to see that they work' },
  },
  exits: { 0: 'every case was measured', 1: 'one is void, or it was ended by Ctrl+C' },
} satisfies Command<Options>

const samplesMin = 8
const smokeSettings = { rounds: 1, ms: 1, samplesMin: 2 }

interface Plan {
  readonly chosen: readonly Subject[]
  readonly smoke: boolean
  /** undefined: a table; '' JSON to the terminal. */
  readonly json: string | undefined
  readonly settings: Omit<MeasureSettings, 'signal'>
}

function planOf(asked: Values<typeof microCommand.options>, files: readonly string[]): Plan {
  const { filter, smoke, rounds, ms } = asked
  if (files.length > (asked.json ? 1 : 0)) throw new UsageError(`what is ${files.at(-1)}?`)
  const chosen = subjects.filter(({ name }) => filter.length === 0 || filter.some((part) => name.includes(part)))
  if (chosen.length === 0) throw new UsageError(`no subject has ${filter.join(' or ')} in its name; --list shows them`)
  const settings = smoke ? smokeSettings : { rounds, ms, samplesMin }
  return { chosen, smoke, json: asked.json ? (files[0] ?? '') : undefined, settings }
}

async function measure({ chosen, smoke, json, settings }: Plan): Promise<MicroReport> {
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

function tellSubjects(): void {
  for (const { name, about } of subjects) process.stdout.write(`${name.padEnd(18)}${about}\n`)
}

process.exitCode = await runCommand(microCommand, process.argv.slice(2), async (asked, files) => {
  if (asked.list) return tellSubjects()
  const plan = planOf(asked, files)
  const report = await measure(plan)
  const text = `${JSON.stringify(report, null, 2)}\n`
  if (plan.json === '') process.stdout.write(text)
  else if (plan.json !== undefined) writeFileSync(plan.json, text)
  return report.isComplete && report.cases.every((one) => one.void === undefined) ? 0 : 1
})

// How near hotcakes comes to a bare uWebSockets.js handler while every answer is durable, in answers a second and in CPU an
// answer: both are loaded in turn by wrk, which costs a fraction of what either of them does.

import { type Command, type Options, oneOf, runCommand, type Values, wholeNumber } from '../../core/command-line.mjs'
import { describeMachine } from '../harness/machine.ts'
import { programsOf } from '../harness/programs.ts'
import { type Summary, seriesText, summaries } from './floor-text.ts'
import { measureSeries, type Plan, type Series, usualSoldItems, usualWarmUpSeconds } from './rounds.ts'

const positive = wholeNumber({ min: 1 })
const defaultConnections = [128, 512]
/** So few that they wait for the disk most of the time. */
const smokeConnections = 8
const smokePlan = { rounds: 1, seconds: 1, warmUpSeconds: 0, soldItems: 100, isPatient: true }

const floorCommand = {
  name: 'npm run bench:floor',
  purpose: `Loads a bare uWebSockets.js handler and a whole hotcakes in turn, with wrk on the same machine, and says which share
    of the handler's rate hotcakes reaches, and what an answer costs both in CPU, by process. The CPU of hotcakes counts
    until all it answered is in Postgres.`,
  options: {
    rounds: { value: 'N', read: positive, default: 4, doc: 'times that each is loaded, in turn' },
    seconds: { value: 'N', read: positive, default: 6, doc: 'length of one load' },
    connections: {
      value: 'N',
      read: positive,
      multiple: true,
      defaultMeans: '128 and 512',
      doc: 'of the generator; given twice, both are measured',
    },
    requests: {
      value: 'KIND',
      read: oneOf(['fresh', 'sold']),
      default: 'fresh',
      doc: 'fresh: each item is asked for once, and held. sold: all are asked for that are sold already',
    },
    workers: {
      value: 'N',
      read: positive,
      default: 1,
      doc: 'HTTP workers of hotcakes: the floor is one process as well',
    },
    beside: {
      value: 'FOLDER',
      read: String,
      doc: 'a built checkout of another version, which is loaded in turn as well',
    },
    smoke: { doc: 'one short round, to see that it works' },
    json: { doc: 'the numbers as JSON' },
  },
  exits: {
    0: 'every load was answered as it had to be, and the audits passed',
    1: 'one was not: the numbers are no result',
  },
} satisfies Command<Options>

type Asked = Values<typeof floorCommand.options>

/** A load that was answered otherwise than asked for measured something else. */
const strayShareMax = 0.01

function isValid(summary: Summary, name: string, { requests }: Plan): boolean {
  const expected = name !== 'floor' && requests === 'sold' ? 1 : 0
  return (
    summary.answersPerSecond > 0 &&
    Math.abs(summary.refusedShare - expected) <= strayShareMax &&
    summary.broken === 0 &&
    summary.auditPassed !== false
  )
}

function complaints(series: Series, plan: Plan): string[] {
  return Object.entries(summaries(series))
    .filter(([name, summary]) => !isValid(summary, name, plan))
    .map(
      ([name, { refusedShare, broken, auditPassed }]) =>
        `no result, ${series.connections} connections, ${name}: ${(100 * refusedShare).toFixed(1)} % refused, ${broken} broken${auditPassed === false ? ', the audit failed' : ''}\n`,
    )
}

function planOf({ smoke, connections, ...asked }: Omit<Asked, 'json'>): Plan {
  if (smoke) {
    const one = [connections[0] ?? smokeConnections]
    return { ...asked, ...smokePlan, connections: one }
  }
  return {
    ...asked,
    warmUpSeconds: Math.min(asked.seconds, usualWarmUpSeconds),
    connections: connections.length === 0 ? defaultConnections : connections,
    soldItems: usualSoldItems,
    isPatient: false,
  }
}

process.exitCode = await runCommand(floorCommand, process.argv.slice(2), async ({ json, ...asked }) => {
  programsOf(asked.beside)
  const plan = planOf(asked)
  const machine = describeMachine()
  const all: Series[] = []
  for (const count of plan.connections) {
    const series = await measureSeries(plan, count, (text) => process.stderr.write(text))
    all.push(series)
    if (!json) process.stdout.write(seriesText(series))
  }
  const results = all.map((series) => ({ connections: series.connections, ...summaries(series) }))
  if (json) process.stdout.write(`${JSON.stringify({ machine, plan, series: results }, null, 2)}\n`)
  else
    process.stdout.write(
      `\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit}, wrk on the same machine\n`,
    )
  const wrong = all.flatMap((series) => complaints(series, plan))
  for (const text of wrong) process.stderr.write(text)
  return wrong.length === 0 ? 0 : 1
})

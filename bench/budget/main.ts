// What an answer must cost each process and what it costs: its parts, each done by itself and by nothing of ours where
// something bare can do it, are measured in turn with the whole.

import { type Command, type Options, runCommand, type Values, wholeNumber } from '../../core/command-line.mjs'
import { usualWarmUpSeconds } from '../floor/rounds.ts'
import { interruptible } from '../harness/interruptible.ts'
import { describeMachine } from '../harness/machine.ts'
import { type BudgetResult, measureBudget } from './budget.ts'
import { budgetOf, budgetText } from './budget-text.ts'

const positive = wholeNumber({ min: 1 })
const usualConnections = [128, 512]
const callsPerErrand = 400
const smokePlan = { rounds: 1, seconds: 1, warmUpSeconds: 0, calls: 20 }
/** So few that they wait for the disk most of the time. */
const smokeConnections = 8
/** A load that was answered otherwise than asked for measured something else. */
const refusedShareMax = 0.01

const budgetCommand = {
  name: 'npm run bench:budget',
  purpose: `What an answer to a checkout that gets its item must cost each process, and what it costs. Must: a bare handler's request
    and answer; a share of a bare call to Redis, of its fsync, and of the same reads and writes by plain commands in calls as
    large; and a row of the same, copied by psql. All in turn with loads of wrk, within each round.`,
  options: {
    rounds: { value: 'N', read: positive, default: 5, doc: 'times that each is measured, in turn' },
    seconds: { value: 'N', read: positive, default: 4, doc: 'length of one load' },
    connections: {
      value: 'N',
      read: positive,
      multiple: true,
      defaultMeans: '128 and 512',
      doc: 'of wrk; given twice, both are measured',
    },
    smoke: { doc: 'one short round, to see that it works' },
    json: { doc: 'the numbers as JSON' },
  },
  exits: {
    0: 'every load was answered as it had to be, and the audits passed',
    1: 'one was not: the numbers are no result',
    130: 'ended by Ctrl+C',
  },
} satisfies Command<Options>

type Asked = Values<typeof budgetCommand.options>

function problemsOf(connections: number, { rounds, auditPassed }: BudgetResult): string[] {
  const loads = rounds.flatMap(({ floor, hotcakes }) => [floor, hotcakes])
  const wrong = loads.filter(({ answers, refused, broken }) => broken > 0 || refused > refusedShareMax * answers)
  return [
    ...wrong.map(({ answers, refused, broken }) => `${refused} of ${answers} were refused, ${broken} broken`),
    ...(auditPassed ? [] : ['the audit failed']),
  ].map((problem) => `no result, ${connections} connections: ${problem}\n`)
}

async function measure(asked: Asked, signal: AbortSignal): Promise<number> {
  const { rounds, seconds, smoke } = asked
  const usual = { rounds, seconds, warmUpSeconds: Math.min(seconds, usualWarmUpSeconds), calls: callsPerErrand }
  const plan = smoke ? smokePlan : usual
  const all = asked.connections.length === 0 ? usualConnections : asked.connections
  const budgets: object[] = []
  const problems: string[] = []
  for (const connections of smoke ? [asked.connections[0] ?? smokeConnections] : all) {
    const result = await measureBudget({ ...plan, connections }, { signal, say: (text) => process.stderr.write(text) })
    budgets.push({ connections, ...budgetOf(result), auditPassed: result.auditPassed })
    problems.push(...problemsOf(connections, result))
    if (!asked.json) process.stdout.write(budgetText(connections, result))
  }
  const machine = describeMachine()
  if (asked.json) process.stdout.write(`${JSON.stringify({ machine, plan, budgets }, null, 2)}\n`)
  else
    process.stdout.write(
      `\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit}, wrk on the same machine\n`,
    )
  for (const problem of problems) process.stderr.write(problem)
  return problems.length === 0 ? 0 : 1
}

process.exitCode = await runCommand(budgetCommand, process.argv.slice(2), async (asked) =>
  interruptible(async (signal) => await measure(asked, signal)),
)

// npm run bench:growth: whether what an answer costs stays as it is while a sale grows, in items and in buyers; the memory that
// they take; and how fast a backlog gets into Postgres.

import {
  type Command,
  type Options,
  runCommand,
  UsageError,
  type Values,
  wholeNumber,
} from '../../core/command-line.mjs'
import { interruptible } from '../harness/interruptible.ts'
import { describeMachine } from '../harness/machine.ts'
import { formatCount } from '../report/format.ts'
import { drainRoundsMax, measureDrains } from './drain.ts'
import { drainProblems, drainSummaries, drainText } from './drain-text.ts'
import { type FullSale, rangesOf } from './full-sale.ts'
import { loadProblems, loadSummaries, loadText } from './load-text.ts'
import { type LoadPlan, measureLoads } from './loads.ts'
import { type MemoryResult, measureMemory, memoryProblems, memoryText } from './memory.ts'

const positive = wholeNumber({ min: 1 })
const parts = ['items', 'buyers', 'memory', 'drain'] as const
type Part = (typeof parts)[number]

const usual = {
  items: [10_000, 100_000, 1_000_000],
  buyers: [10, 1_000, 100_000, 10_000_000],
  /** Of a sale that differs from others by its buyers, and the other way round. */
  itemsFixed: 10_000,
  buyersFixed: 100_000,
  warmUpSeconds: 2,
}
const small: typeof usual = {
  items: [2_000, 4_000],
  buyers: [10, 1_000],
  itemsFixed: 2_000,
  buyersFixed: 1_000,
  warmUpSeconds: 0,
}
const smokePlan = { rounds: 1, seconds: 1, connections: 4, backlog: 2_000 }

const growthCommand = {
  name: 'npm run bench:growth',
  operands: '[items] [buyers] [memory] [drain]',
  purpose: `Without an operand all four. items, buyers: whole servers that differ in the number of their sale's items, or of the
    buyers that requests name, are loaded in turn with wrk. The sale is full before: half of its items are sold, a quarter is
    held, the rest was held and given back, and all buyers have an entry. memory: bytes in Redis of a held and of a sold item. drain: a
    backlog that the persister was kept from, and then the same rows copied by psql.`,
  options: {
    rounds: { value: 'N', read: positive, default: 4, doc: 'times that each is measured, in turn; not of memory' },
    seconds: { value: 'N', read: positive, default: 5, doc: 'length of one load' },
    connections: { value: 'N', read: positive, default: 128, doc: 'of wrk' },
    items: {
      value: 'N',
      read: wholeNumber({ min: 1_000, max: 1_000_000 }),
      multiple: true,
      defaultMeans: usual.items.map(formatCount).join('; '),
      doc: 'items of a sale, may be given several times; the first is what the others are compared with',
    },
    buyers: {
      value: 'N',
      read: wholeNumber({ min: 10, max: 10_000_000 }),
      multiple: true,
      defaultMeans: usual.buyers.map(formatCount).join('; '),
      doc: `buyers, the same way; the sale has ${formatCount(usual.itemsFixed)} items then`,
    },
    backlog: {
      value: 'N',
      read: wholeNumber({ min: 1_000, max: 500_000 }),
      default: 100_000,
      doc: 'log entries of one backlog, rows of the other',
    },
    smoke: { doc: 'small and short, to see that it works' },
    json: { doc: 'the numbers as JSON' },
  },
  exits: {
    0: 'all was decided as it had to be, and the audits passed; whether a goal is reached is in the output',
    1: 'it was not: the numbers are no result',
    130: 'ended by Ctrl+C',
  },
} satisfies Command<Options>

type Asked = Values<typeof growthCommand.options>

interface Found {
  readonly text: string
  readonly json: object
  readonly problems: readonly string[]
}

interface Watch {
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

function partsOf(operands: readonly string[]): readonly Part[] {
  const stray = operands.find((operand) => !parts.some((part) => part === operand))
  if (stray !== undefined) throw new UsageError(`what is ${stray}? There are ${parts.join(', ')}`)
  return operands.length === 0 ? parts : parts.filter((part) => operands.includes(part))
}

function planOf(given: Asked, chosen: readonly Part[]) {
  const sizes = given.smoke ? small : usual
  const asked = given.smoke ? { ...given, ...smokePlan } : given
  const items = given.items.length === 0 ? sizes.items : given.items
  const buyers = given.buyers.length === 0 ? sizes.buyers : given.buyers
  const { rounds, seconds, connections, backlog } = asked
  const load = (part: Part, sales: readonly (FullSale & { readonly name: string })[]): LoadPlan => {
    const least = Math.min(...sales.map((sale) => rangesOf(sale.items).free.count))
    // Else an item's turn comes again before it was given back.
    if (chosen.includes(part) && connections * 2 > least)
      throw new UsageError(`--connections must be at most ${Math.floor(least / 2)} with so few items`)
    return { rounds, seconds, connections, warmUpSeconds: sizes.warmUpSeconds, sales }
  }
  const roundsMax = drainRoundsMax(backlog)
  if (chosen.includes('drain') && rounds > roundsMax)
    throw new UsageError(`--rounds must be at most ${roundsMax} with a backlog of ${formatCount(backlog)}`)
  return {
    items,
    backlog: { rounds, size: backlog },
    byItems: load(
      'items',
      items.map((each) => ({ name: `${formatCount(each)} items`, items: each, buyers: sizes.buyersFixed })),
    ),
    byBuyers: load(
      'buyers',
      buyers.map((each) => ({ name: `${formatCount(each)} buyers`, items: sizes.itemsFixed, buyers: each })),
    ),
  }
}

async function measurePart(part: Part, plan: ReturnType<typeof planOf>, watch: Watch): Promise<Found> {
  if (part === 'drain') {
    const result = await measureDrains(plan.backlog, watch)
    const json = { copier: result.copier, backlogs: drainSummaries(result), auditPassed: result.auditPassed }
    return { text: drainText(result), json, problems: drainProblems(result) }
  }
  if (part === 'memory') {
    const results: MemoryResult[] = []
    for (const items of plan.items) results.push(await measureMemory(items, watch))
    return { text: memoryText(results), json: results, problems: memoryProblems(results) }
  }
  const loads = part === 'items' ? plan.byItems : plan.byBuyers
  const result = await measureLoads(loads, watch)
  const json = { loads: loadSummaries(result), audits: Object.fromEntries(result.audits) }
  return { text: loadText(part, loads, result), json, problems: loadProblems(loads, result) }
}

async function measure(asked: Asked, operands: readonly string[], signal: AbortSignal): Promise<number> {
  const chosen = partsOf(operands)
  const plan = planOf(asked, chosen)
  const machine = describeMachine()
  const found = new Map<Part, Found>()
  for (const part of chosen) {
    const one = await measurePart(part, plan, { signal, say: (text) => process.stderr.write(text) })
    found.set(part, one)
    if (!asked.json) process.stdout.write(one.text)
  }
  const results = Object.fromEntries([...found].map(([part, { json }]) => [part, json]))
  if (asked.json) process.stdout.write(`${JSON.stringify({ machine, plan, results }, null, 2)}\n`)
  else
    process.stdout.write(
      `\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit}, wrk on the same machine\n`,
    )
  const problems = [...found.values()].flatMap((one) => one.problems)
  for (const problem of problems) process.stderr.write(`no result: ${problem}\n`)
  return problems.length === 0 ? 0 : 1
}

process.exitCode = await runCommand(growthCommand, process.argv.slice(2), async (asked, operands) =>
  interruptible(async (signal) => await measure(asked, operands, signal)),
)

// npm run bench:scale: what a sale over several shards can decide, compared with one shard.

import { type Command, type Options, runCommand, someOf, wholeNumber } from '../../core/command-line.mjs'
import { describeMachine } from '../harness/machine.ts'
import { Place } from './place.ts'
import { appendOnlyValues, casesOf, mixNames, type Plan, placementText, placesOf } from './plan.ts'
import { caseText, legend } from './scale-text.ts'
import { Series } from './series.ts'

const intervalMs = 2_592_000_000
const positive = wholeNumber({ min: 1 })
const numbers = (text: string): readonly number[] => text.split(',').map(positive)

/** The sales that are measured are none that a server opens meanwhile. */
const salesApart = 1_000

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

const scaleCommand = {
  name: 'npm run bench:scale',
  purpose: `Measures what a sale over several shards can decide, each shard a node of a real Redis Cluster.

    The selling code of an HTTP worker (its shards, batchers and searches for rights, its connections) is driven without HTTP, by
    buyers in closed loops, at each number of shards in turn. The measure is the CPU that Redis takes for a decision, because the
    machine may have fewer cores than shards. It is compared at equal batches: in its warm-up each run takes as many connections
    as give the wanted mean number of commands in a call. Where there are two cores more than shards, each node and each
    generator has a core of its own, and the decisions a second are a throughput.

    In the end whole servers have the logs drained into PostgreSQL, and their record is compared with Redis.`,
  options: {
    shards: {
      value: 'N,...',
      read: numbers,
      default: [1, 2, 3, 4, 6],
      defaultMeans: '1,2,3,4,6',
      doc: 'numbers of shards',
    },
    mix: {
      value: 'NAME,...',
      read: someOf(mixNames),
      default: mixNames,
      defaultMeans: 'all',
      doc: mixNames.join(', '),
    },
    limit: {
      value: 'N,...',
      read: numbers,
      default: [1, 10],
      defaultMeans: '1,10',
      doc: 'items that one buyer may have',
    },
    batch: {
      value: 'N,...',
      read: numbers,
      default: [64],
      defaultMeans: '64',
      doc: 'mean commands in a call, at equal batches',
    },
    connections: {
      value: 'N,...',
      read: numbers,
      default: [128, 1_024],
      defaultMeans: '128,1024',
      doc: 'over all shards, with whatever batches that gives',
    },
    users: { value: 'N', read: positive, default: 500_000, doc: 'different buyers' },
    decisions: { value: 'N', read: positive, default: 60_000, doc: 'that are measured in a run' },
    seconds: { value: 'N', read: positive, default: 20, doc: 'longest time for them' },
    repeat: { value: 'N', read: positive, default: 3, doc: 'rounds' },
    generators: { value: 'N', read: positive, default: 1, doc: 'processes that load a place' },
    appendonly: {
      value: 'yes,no',
      read: someOf(appendOnlyValues),
      default: appendOnlyValues,
      defaultMeans: 'both',
      doc: 'with the append-only file and its fsync, and without',
    },
    equal: { doc: 'at equal batches alone, not with given connections' },
    plain: { doc: 'one Redis without a cluster as well' },
    unaudited: { doc: 'nothing is drained, and no record compared' },
    json: { doc: 'the numbers as JSON' },
    smoke: { doc: 'a short round of little, to see that it works' },
  },
  exits: { 0: 'everything was decided, and the record is right', 1: 'something was not: the numbers are no result' },
} satisfies Command<Options>

const smoke = {
  shards: [1, 2],
  mix: ['balanced'],
  limit: [1],
  batch: [8],
  decisions: 300,
  repeat: 1,
  equal: true,
  appendonly: ['yes'],
} as const

/** All places at once: they are measured in turn. */
async function openPlaces(plan: Plan): Promise<Place[]> {
  const places: Place[] = []
  try {
    for (const place of placesOf(plan)) {
      say(`opening ${place.name}`)
      places.push(await Place.open(place))
    }
    return places
  } catch (error) {
    await closeAll(places)
    throw error
  }
}

async function closeAll(places: readonly Place[]): Promise<void> {
  await Promise.all(places.map((place) => place.close()))
}

async function measure(plan: Plan, places: readonly Place[]): Promise<Series> {
  const series = new Series(Math.floor(Date.now() / intervalMs) + salesApart)
  const cases = casesOf(plan)
  for (const appendOnly of plan.appendonly) {
    for (const { redis } of places) await redis.setAppendOnly(appendOnly)
    for (let round = 0; round < plan.repeat; round++) {
      for (const one of cases.filter((each) => each.appendOnly === appendOnly)) {
        say(`round ${round + 1}/${plan.repeat}: ${one.name}`)
        await series.round(places, one, round)
      }
    }
  }
  for (const { redis } of places) await redis.setAppendOnly('yes')
  return series
}

function resultText(plan: Plan, places: readonly Place[], series: Series): string {
  const { cpu, cores, loadAverage, node, commit } = describeMachine()
  const base = places.find((place) => place.plan.isCluster && place.plan.shards === 1)
  const { repeat, decisions, users } = plan
  return [
    `${cpu}, ${cores} cores (load ${loadAverage}), Node.js ${node}, ${commit}`,
    `${repeat} rounds of ${decisions} decisions, ${users} buyers`,
    `${placementText(places.map((place) => place.plan))}\n`,
    ...casesOf(plan).map((one) => caseText(series, one, { places, base })),
    legend,
  ].join('\n')
}

function resultJson(plan: Plan, places: readonly Place[], series: Series): string {
  const cases = casesOf(plan).map((one) => {
    return { ...one, places: places.map((place) => ({ name: place.plan.name, runs: series.of(one, place) })) }
  })
  return `${JSON.stringify({ machine: describeMachine(), plan, cases })}\n`
}

async function audit(places: readonly Place[]): Promise<string[]> {
  const problems: string[] = []
  for (const place of places) {
    say(`draining ${place.plan.name}`)
    problems.push(...(await place.audit()).map((problem) => `${place.plan.name}: ${problem}`))
  }
  return problems
}

// At once: the nodes and folders go with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

process.exitCode = await runCommand(scaleCommand, process.argv.slice(2), async (asked) => {
  const plan: Plan = asked.smoke ? { ...asked, ...smoke } : asked
  const places = await openPlaces(plan)
  try {
    const series = await measure(plan, places)
    process.stdout.write(asked.json ? resultJson(plan, places, series) : resultText(plan, places, series))
    const problems = asked.unaudited ? [] : await audit(places)
    const verdict = asked.unaudited ? 'not asked for' : problems.length === 0 ? 'passed' : problems.join('\n')
    say(`audit: ${verdict}`)
    return problems.length > 0 || series.undecided > 0 ? 1 : 0
  } finally {
    await closeAll(places)
  }
})

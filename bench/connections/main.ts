// npm run bench:connections: what good buyers keep while others connect for each request.

import { spawnSync } from 'node:child_process'
import {
  type Command,
  type Options,
  oneOf,
  runCommand,
  UsageError,
  type Values,
  wholeNumber,
} from '../../core/command-line.mjs'
import { describeMachine } from '../harness/machine.ts'
import { programsOf } from '../harness/programs.ts'
import { Interruption } from '../load/interruption.ts'
import { plannedPinning } from '../overload/pinning.ts'
import { type Build, type Measured, measure, type Plan } from './experiment.ts'
import { type FloodKind, floodKinds } from './kinds.ts'
import { problemsOf, resultText } from './result-text.ts'

/** Requests a second of a flood on kept connections, when none with new ones came before it. */
const keptRateUsual = 5_000
const positive = wholeNumber({ min: 1 })
const usualPlan = { calmAfterSecondsMin: 3, buyersRate: 0, probe: { clients: 128, seconds: 2 }, env: {} }
/** Few clients, who hardly keep the server busy, and patience for one that stands still. */
const smokePlan = {
  seconds: 1,
  calmAfterSecondsMin: 1,
  clients: 4,
  buyers: 4,
  buyersRate: 50,
  probe: { clients: 4, seconds: 1 },
  env: { APP_DEADLINE_MS: '10000' },
}

const connectionsCommand = {
  name: 'npm run bench:connections',
  purpose: `Measures what good buyers on kept connections keep of their answers while a flood of others connects anew for each
    request, and what accepting, refusing and closing a connection costs the server. wrk is the flood; it has a core with the
    buyers' process, which comes first there, and the server has another.`,
  options: {
    seconds: { value: 'N', read: positive, default: 5, doc: 'of each flood, and of the calm before it' },
    rounds: { value: 'N', read: positive, default: 3, doc: 'how often each comes' },
    clients: { value: 'N', read: positive, default: 2_000, doc: 'of the flood, which come again at once' },
    buyers: { value: 'N', read: positive, default: 64, doc: 'connections of the good buyers, in closed loops' },
    kind: {
      value: 'KIND',
      read: oneOf(floodKinds),
      multiple: true,
      defaultMeans: `all of ${floodKinds.join(', ')}`,
      doc: 'of flood; may be given several times',
    },
    beside: {
      value: 'FOLDER',
      read: String,
      doc: 'a built checkout of another version, which is flooded in turn as well',
    },
    json: { doc: 'the report as JSON instead of the tables' },
    unpinned: { doc: 'server and clients share all cores' },
    smoke: { doc: 'a short round, to see that it works' },
  },
  exits: { 0: 'measured, and the audits passed', 1: 'the run was not as it must be: the numbers are no result' },
} satisfies Command<Options>

type Asked = Values<typeof connectionsCommand.options>

process.exitCode = await runCommand(connectionsCommand, process.argv.slice(2), async (asked) => {
  const builds = buildsOf(asked.beside)
  if (spawnSync('wrk', ['--version']).error !== undefined)
    throw new UsageError('there is no wrk: Debian has it in the package of that name')
  const machine = describeMachine()
  const interruption = new Interruption()
  try {
    const plan = planOf(asked)
    const results = await measureAll(plan, asked, { builds, stop: interruption.stop })
    const problems = results.flatMap(problemsOf)
    process.stdout.write(
      asked.json
        ? `${JSON.stringify({ machine, results, problems }, null, 2)}\n`
        : resultText(results, plan.clients, machine),
    )
    for (const problem of problems) process.stderr.write(`INVALID: ${problem}\n`)
    return problems.length === 0 ? 0 : 1
  } catch (error) {
    if (!interruption.stop.aborted) throw error
    process.stderr.write('interrupted\n')
    return 1
  } finally {
    interruption.close()
  }
})

function buildsOf(folder: string | undefined): Build[] {
  const own: Build = { name: 'hotcakes', programs: undefined }
  return folder === undefined ? [own] : [own, { name: 'beside', programs: programsOf(folder) }]
}

function planOf({ seconds, clients, buyers, unpinned, smoke }: Asked): Plan {
  const pinning = unpinned ? undefined : plannedPinning()
  return smoke ? { ...smokePlan, pinning } : { ...usualPlan, seconds, clients, buyers, pinning }
}

async function measureAll(
  plan: Plan,
  asked: Asked,
  { builds, stop }: { builds: readonly Build[]; stop: AbortSignal },
): Promise<Measured[]> {
  const rounds = asked.smoke ? 1 : asked.rounds
  const kinds: readonly FloodKind[] = asked.kind.length === 0 ? floodKinds : asked.kind
  const results: Measured[] = []
  for (let round = 0; round < rounds; round++) {
    // What a flood of kept connections sends: as much as the one before it was answered.
    const rates = new Map<string, number>()
    for (const kind of kinds) {
      for (let at = 0; at < builds.length; at++) {
        // Each round begins with another one: a machine that slows down slows all.
        const build = builds[(at + round) % builds.length] as Build
        process.stderr.write(`round ${round + 1}/${rounds}: ${build.name}, ${kind}\n`)
        const rate = rates.get(build.name) ?? keptRateUsual
        const measured = await measure({ ...plan, kind, build, rate, stop })
        if (kind === 'request') rates.set(build.name, measured.flood.answers / measured.flood.seconds)
        results.push(measured)
      }
    }
  }
  return results
}

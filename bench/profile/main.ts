// npm run bench:profile: a load scenario with a CPU profile of one HTTP worker, the persister and its copy thread.

import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, type Options, runCommand, UsageError } from '../../core/command-line.mjs'
import { textTable } from '../../core/text-table.mjs'
import { pidsBelow, roleOf } from '../harness/process-cpu.ts'
import { loadCommand, type Request, requestOf } from '../load/command.ts'
import { Interruption } from '../load/interruption.ts'
import { runAll } from '../load/series.ts'
import { formatCount, formatPercent } from '../report/format.ts'
import { projectRoot } from '../report/machine.ts'
import { isValid } from '../report/report.ts'
import { reportsFolder } from '../report/store.ts'
import { keepProfiles, type ProfiledPids, type ThreadProfile } from './profiled-processes.ts'

const {
  url: _url,
  serverPid: _serverPid,
  audit: _audit,
  repeat: _repeat,
  list: _list,
  beside: _beside,
  noFloor: _noFloor,
  ...profileOptions
} = loadCommand.options

const profileCommand = {
  ...loadCommand,
  name: 'npm run bench:profile',
  operands: 'SCENARIO',
  purpose: `Runs the scenario on a fresh server whose processes write CPU profiles, and keeps those of the busiest HTTP worker,
    of the persister and of its copy thread, with the functions that took the most time themselves. Sampling costs some speed:
    the report of such a run goes beside the profiles and not to the others.

    The options are those of bench:load, but for those that have no use here.`,
  options: { ...profileOptions, seconds: { ...profileOptions.seconds, default: 20 } },
  exits: { 0: 'the report is valid and there are profiles', 1: 'there are none, or the load could not be run' },
} satisfies Command<Options>

const topCount = 15

process.exitCode = await runCommand(profileCommand, process.argv.slice(2), (values, names) => {
  const ofFreshServer = {
    url: undefined,
    beside: undefined,
    serverPid: undefined,
    audit: false,
    repeat: 1,
    list: false,
    noFloor: true,
  }
  const request = requestOf({ ...values, ...ofFreshServer }, names)
  if (request.scenarios.length !== 1) throw new UsageError('one scenario is profiled at a time')
  return profile(request)
})

async function profile(request: Request): Promise<number> {
  const started = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
  const folder = resolve(
    request.out ?? join(reportsFolder(), '../profiles', `${request.scenarios[0]?.name}-${started}Z`),
  )
  mkdirSync(folder, { recursive: true })
  const window = { fromUs: 0, toUs: Infinity }
  let pids: ProfiledPids = { httpWorkers: [], persister: [] }
  const interruption = new Interruption()
  try {
    const written = await runAll({ ...request, out: folder }, interruption, {
      // The primary hands its Node options on to the processes it forks, and these to their threads.
      execArgv: ['--cpu-prof', `--cpu-prof-dir=${folder}`],
      onStart: ({ pid = 0 }) => {
        window.fromUs = monotonicUs()
        pids = {
          httpWorkers: pidsBelow(pid, roleOf, 'HTTP workers'),
          persister: pidsBelow(pid, roleOf, 'persister'),
        }
      },
      onEnd: () => {
        window.toUs = monotonicUs()
      },
    })
    const kept = keepProfiles(folder, pids, window)
    for (const thread of kept) process.stdout.write(profileText(thread))
    process.stdout.write(filesText(kept))
    return kept.length > 0 && written.every(({ report }) => report.runs.every(isValid)) ? 0 : 1
  } catch (error) {
    process.stderr.write(`the profile could not be taken: ${(error as Error).message}\n`)
    return 1
  } finally {
    interruption.close()
  }
}

function profileText({ title, times }: ThreadProfile): string {
  const { busyUs, idleUs, functions } = times
  const rows = functions
    .slice(0, topCount)
    .map(({ name, place, selfUs }) => [
      `${name}  ${place === '' ? explain(name) : shortPlace(place)}`,
      formatCount(selfUs / 1_000),
      formatPercent(selfUs / busyUs),
    ])
  const busy = formatPercent(busyUs / Math.max(1, busyUs + idleUs))
  const head = [`${title}: ${busy} busy; self time by function`, 'ms', 'of busy']
  return `\n${textTable(head, rows).join('\n')}\n`
}

/** What V8 can't name, it books under these. */
function explain(name: string): string {
  if (name === '(program)') return 'native code: the HTTP server, system calls, libpq'
  return ''
}

/** Without the machine's part of the path. */
function shortPlace(place: string): string {
  const inPackage = place.lastIndexOf('node_modules/')
  if (inPackage >= 0) return place.slice(inPackage + 'node_modules/'.length)
  const compiledRoot = fileURLToPath(new URL('../../', import.meta.url))
  return place.replace('file://', '').replace(compiledRoot, '').replace(fileURLToPath(projectRoot()), '')
}

function filesText(kept: readonly ThreadProfile[]): string {
  return `
${kept.map(({ title, file }) => `${title.padEnd(12)} ${file}`).join('\n')}

Open one with Chrome (DevTools, Performance, Load profile), with VS Code (just open the file), or drop it on
https://www.speedscope.app, which keeps it in the browser. They hold the whole life of the process; the tables above
are of the measurement alone.
`
}

/** The clock of V8's profiles. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint()) / 1_000
}

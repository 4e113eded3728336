// npm test: brings everything up to date, then runs every compiled test file, unit tests first.
// Node 20's runner takes no globs and silently runs nothing on a wrong path; so the files are listed here, and too few
// tests are a failure by themselves. Its closing lines (tests N, pass N, fail N) stay as they are: CI reads them.

import './node-version.mjs'

import { setMaxListeners } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

import { importBuilt, prepare, root } from './prepare.mjs'
import { runCommandEntry, SetupError, say } from './progress.mjs'
import { ensureTool } from './unpacked-tools.mjs'
import { wrkBenchmarks } from './wrk-benchmarks.mjs'

/** Fewer tests than this in a whole run mean that some were not found. Raise it as tests are added. */
const testsMin = 1_500
/** The longest file takes two minutes on two idle cores; on busy ones several times that, and nothing hangs for so long. */
const fileMsMax = 15 * 60_000
/** Files at once: most of what they do is waiting. Each may run a Redis, a Postgres and a cluster, and needs some CPU for it. */
const filesAtOnce = 3

/** Part of a test file's path -> programs that it runs besides those that are installed for all. */
const toolsOfFiles = {
  ...Object.fromEntries(wrkBenchmarks.map((folder) => [`test/bench-${folder}`, ['wrk']])),
  'test/examples': ['go'],
  pooler: ['pgbouncer'],
  prometheus: ['promtool'],
  proxies: ['nginx', 'haproxy', 'caddy'],
}

/** Test file -> an engine of test/engines that it runs. */
const enginesOfFiles = { backup: 'postgresql-15', engines: 'redis-8' }

const tools = join(root, '.tools')

const isTest = (path) => path.endsWith('.test.js')
/** Parts of the paths of files that take longest, on idle cores a minute or more. One that began last would end alone. */
const longFiles = [
  'test/backup.test',
  'board-page.test',
  'faults/faults.test',
  'fuzz/fuzz.test',
  'last-version.test',
  'move-shard.test',
  'purchases.test',
  'shard-admission.test',
  'sharded-recovery.test',
  'waiting-workers.test',
]

/** 0 for unit tests beside the code, more for what needs services or processes; the longest of these begin first. */
function place(path) {
  if (!path.startsWith('test/')) return 0
  return longFiles.some((part) => path.includes(part)) ? 1 : 2
}

function testFiles(filters) {
  const dist = join(root, 'dist')
  const found = readdirSync(dist, { recursive: true }).filter(isTest)
  const chosen = filters.length === 0 ? found : found.filter((path) => filters.some((filter) => path.includes(filter)))
  return chosen.toSorted((a, b) => place(a) - place(b) || (a < b ? -1 : 1)).map((path) => join(dist, path))
}

/** Before the tests, because a slow mirror must not use up the time of one. Where it fails, that test says what is needed. */
async function fetchEngine(id) {
  const { provideEngine } = await importBuilt('test/engines/engines.js')
  orSay(() => provideEngine(id, { say }))
}

/** What can't be fetched is named, and fails the tests that need it: all others run. */
function orSay(fetch) {
  try {
    fetch()
  } catch (error) {
    say(error.message)
  }
}

const command = {
  name: 'npm test',
  operands: "[PART-OF-A-FILE'S-PATH...]",
  purpose: `Brings everything up to date, then runs the tests: all of them, or those in the files whose paths below dist/ contain
    one of the parts. So npm test -- core/ runs what stands beside the code of core, and npm test -- semantics one file.

    SEED=N repeats a test that names its seed.`,
  options: {},
  exits: { 0: 'all passed', 1: 'one failed, or fewer ran than there must be' },
}

/** One folder for what test files make once for all: test/helpers/postgres-template.ts. */
function shareTemplates() {
  const folder = mkdtempSync(join(tmpdir(), 'hotcakes-test-templates-'))
  process.env['HOTCAKES_TEST_TEMPLATE'] = folder
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
}

/**
 * Ends the files that run, and the programs that they have started: each would go on by itself. Without an order: servers would
 * wait for a Postgres that has ended as well.
 */
async function endByInterrupts(stop) {
  const { pidsOfFamily } = await importBuilt('bench/harness/process-cpu.js')
  const { Interrupts } = await importBuilt('core/interrupts.js')
  const onFirst = () => {
    const below = pidsOfFamily(process.pid).filter((pid) => pid !== process.pid)
    stop.abort()
    for (const pid of below) endProcess(pid)
  }
  return new Interrupts({ onFirst, onAgain: () => undefined })
}

function endProcess(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile, with the one that started it.
  }
}

await runCommandEntry(command, async (_, filters) => {
  await prepare({ redis: 'needed', tests: true })
  const files = testFiles(filters)
  if (files.length === 0) throw new SetupError(`no test file matches ${filters.join(', ')}`)
  for (const [part, names] of Object.entries(toolsOfFiles)) {
    if (files.some((path) => path.includes(part))) for (const name of names) orSay(() => ensureTool(name, tools))
  }
  for (const [file, id] of Object.entries(enginesOfFiles))
    if (files.some((path) => path.endsWith(`test/${file}.test.js`))) await fetchEngine(id)
  process.chdir(root)
  shareTemplates()

  const stop = new AbortController()
  setMaxListeners(0, stop.signal) // the runner adds one a file, and warns of ten
  const interrupts = await endByInterrupts(stop)
  let testCount = 0
  let hasPassed = true
  const results = run({ files, concurrency: filesAtOnce, timeout: fileMsMax, signal: stop.signal })
  results.on('test:fail', ({ todo }) => {
    if (todo === undefined || todo === false) hasPassed = false
  })
  results.on('test:diagnostic', ({ message }) => {
    testCount = Number(/^tests (\d+)$/.exec(message)?.[1] ?? testCount)
  })
  await new Promise((resolve) => results.compose(new spec()).on('end', resolve).pipe(process.stdout))
  interrupts.close()
  const least = filters.length === 0 ? testsMin : 1
  if (testCount < least) throw new SetupError(`only ${testCount} tests ran, at least ${least} were expected`)
  return hasPassed ? 0 : 1
})

// What touches the native addons, a sell-out and an orderly stop, on another Node.js than the machine's: brought by npm into a
// temporary folder, on a fresh copy of this checkout with packages of its own.

import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, relative } from 'node:path'

import { root } from './prepare.mjs'
import { runCommandEntry, SetupError, say } from './progress.mjs'

const testNodeCommand = {
  name: 'npm run test:node',
  operands: "[MAJOR] [PART-OF-A-FILE'S-PATH...]",
  purpose: `Runs tests on another Node.js than this one: 22 on 20, and 20 on 22, unless MAJOR says which. Without paths it runs:
    those of the addons (uWebSockets.js, libpq), a sell-out, and an orderly stop. npm brings that Node.js into a temporary
    folder, which also gets a copy of this checkout; both are removed afterwards.`,
  options: {},
  exits: { 0: 'all passed', 1: 'one failed, or that Node.js could not be had' },
}
const testFiles = [
  'test/addons.test',
  'test/async-postgres.test',
  'test/uws.test',
  'test/sell-out.test',
  'test/shutdown.test',
]
/** A minute on a quiet machine: some 100 MB for Node.js and npm. */
const fetchMsMax = 5 * 60_000
/** Three minutes on two quiet cores, half of it for `npm ci` and the build. */
const testMsMax = 15 * 60_000
/** For what is ended by SIGTERM, before SIGKILL. */
const endMsMax = 10_000
/** What belongs to this checkout and its Node.js, at the top of it. */
const leftOut = new Set(['node_modules', 'dist', '.data', '.git', '.tools', '.scratch'])

/** Runs a command to its end, which comes at the latest after `msMax` or with a signal to this process. */
async function runBounded([command, ...args], options, msMax) {
  // A group of its own: what it has started ends with it.
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true, ...options })
  const end = (signal) => {
    if (child.pid === undefined) return // it could not be started
    try {
      process.kill(-child.pid, signal)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error // ESRCH: it has ended
    }
  }
  let isLate = false
  const timers = [
    setTimeout(() => {
      isLate = true
      end('SIGTERM')
    }, msMax),
    setTimeout(() => end('SIGKILL'), msMax + endMsMax),
  ]
  const onSignal = () => {
    end('SIGTERM')
    timers.push(setTimeout(() => end('SIGKILL'), endMsMax))
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal)
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', (status) => resolve({ status, isLate }))
    })
  } finally {
    for (const timer of timers) clearTimeout(timer)
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, onSignal)
  }
}

async function fetchNode(major, folder) {
  say(`fetching Node.js ${major}`)
  const runtime = `node-${process.platform}-${process.arch}`
  const command = ['npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', folder]
  const { status } = await runBounded([...command, `${runtime}@${major}`, 'npm@11'], { cwd: folder }, fetchMsMax)
  if (status !== 0) throw new SetupError(`npm could not bring Node.js ${major}: it said why above`)
  // An npm of its own: a distribution's compiles addons for the distribution's Node.js.
  return [join(folder, 'node_modules', runtime, 'bin'), join(folder, 'node_modules/.bin')]
}

async function testOn(major, filters) {
  const folder = mkdtempSync(join(tmpdir(), 'hotcakes-node-'))
  try {
    const programs = await fetchNode(major, folder)
    const copy = join(folder, 'hotcakes')
    cpSync(root, copy, { recursive: true, filter: (path) => !leftOut.has(relative(root, path)) })
    const path = [...programs, process.env.PATH].join(delimiter)
    say(`testing on Node.js ${major}: ${filters.join(', ')}`)
    const command = [join(programs[0], 'node'), 'ops/setup/test.mjs', ...filters]
    const { status, isLate } = await runBounded(command, { cwd: copy, env: { ...process.env, PATH: path } }, testMsMax)
    if (isLate) throw new SetupError(`the tests on Node.js ${major} did not end within ${testMsMax / 60_000} minutes`)
    if (status !== 0) throw new SetupError(`the tests on Node.js ${major} FAILED`)
    say(`the tests on Node.js ${major} passed`)
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

await runCommandEntry(testNodeCommand, async (_, operands) => {
  const isMajor = /^\d+$/.test(operands[0] ?? '')
  const major = isMajor ? operands[0] : process.versions.node.startsWith('22.') ? '20' : '22'
  const filters = operands.slice(isMajor ? 1 : 0)
  const missing = testFiles.filter((file) => !existsSync(join(root, `${file}.ts`)))
  if (missing.length > 0) throw new SetupError(`there is no ${missing.join(', ')}`)
  await testOn(major, filters.length === 0 ? testFiles : filters)
})

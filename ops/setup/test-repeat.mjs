// npm run test:repeat: runs `npm test` several times, the last of them beside one endless loop a core, and prints what came
// of each. A suite that passes once proves little: a test that depends on speed or luck shows only like this.

import './node-version.mjs'

import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { wholeNumber } from '../../core/command-line.mjs'
import { textTable } from '../../core/text-table.mjs'
import { root } from './prepare.mjs'
import { runCommandEntry } from './progress.mjs'

const command = {
  name: 'npm run test:repeat',
  operands: "[PART-OF-A-FILE'S-PATH...]",
  purpose: 'Runs npm test several times, one after the other, and prints a line for each run and a table at the end.',
  options: {
    times: { value: 'N', read: wholeNumber({ min: 1 }), default: 5, doc: 'runs' },
    busy: {
      value: 'N',
      read: wholeNumber(),
      default: 2,
      doc: 'how many of them, the last ones, run beside one endless loop for each core',
    },
    out: {
      value: 'FOLDER',
      read: resolve,
      defaultMeans: `a new one below ${tmpdir()}`,
      doc: 'for the log of each run, run-1.log and so on',
    },
  },
  exits: { 0: 'every run passed', 1: 'one failed, or a signal ended it' },
}

let child
const loops = new Set()

function endLoops() {
  for (const loop of loops) loop.kill('SIGKILL')
  loops.clear()
}

function keepBusy() {
  for (let n = 0; n < availableParallelism(); n++) {
    loops.add(spawn(process.execPath, ['--eval', 'for (;;);'], { stdio: 'ignore' }))
  }
}

/** The names of the tests that failed, each once, and the runner's own count. */
function readLog(path) {
  const text = readFileSync(path, 'utf8')
  const failed = [...text.matchAll(/^\s*✖ (.+) \([\d.]+ms\)/gm)].map(([, name]) => name)
  const count = (name) => Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  return { failed: [...new Set(failed)], tests: count('tests'), passed: count('pass') }
}

async function runOnce(n, { isBusy, out, filters }) {
  const log = join(out, `run-${n}.log`)
  const file = createWriteStream(log)
  const startedMs = performance.now()
  if (isBusy) keepBusy()
  child = spawn(process.execPath, [join(root, 'ops/setup/test.mjs'), ...filters], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) stream.pipe(file, { end: false })
  const status = await new Promise((ended, failed) => child.on('error', failed).on('close', ended)).finally(endLoops)
  await new Promise((closed) => file.end(closed))
  const seconds = Math.round((performance.now() - startedMs) / 1_000)
  const { failed, tests, passed } = readLog(log)
  return {
    run: n,
    machine: isBusy ? 'busy' : 'as it is',
    result: status === 0 ? 'passed' : 'FAILED',
    tests,
    passed,
    seconds,
    failed,
  }
}

await runCommandEntry(command, async (asked, filters) => {
  const { times, busy, out = mkdtempSync(join(tmpdir(), 'hotcakes-test-repeat-')) } = asked
  mkdirSync(out, { recursive: true })
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      stop.abort()
      child?.kill(signal)
    })
  }

  const besideLoops =
    busy > 0 ? `, the last ${Math.min(busy, times)} beside ${availableParallelism()} endless loops` : ''
  process.stdout.write(`runs: ${times}${besideLoops}; logs in ${out}\n`)
  const runs = []
  for (let n = 1; n <= times; n++) {
    const run = await runOnce(n, { isBusy: n > times - busy, out, filters })
    if (stop.signal.aborted) {
      process.stdout.write(`run ${n} was ended by a signal: it says nothing\n`)
      break
    }
    runs.push(run)
    const { machine, result, tests, passed, seconds, failed } = run
    process.stdout.write(`run ${n} (${machine}): ${result}, ${passed} of ${tests} tests in ${seconds} s\n`)
    for (const name of failed) process.stdout.write(`  ✖ ${name}\n`)
  }
  const rows = runs.map(({ run, machine, result, tests, passed, seconds, failed }) =>
    [run, machine, result, tests, passed, seconds, failed.length].map(String),
  )
  const head = ['run', 'machine', 'result', 'tests', 'passed', 'seconds', 'failed']
  process.stdout.write(`${textTable(head, rows, { left: [0, 1, 2] }).join('\n')}\n`)
  return runs.length < times || runs.some(({ result }) => result !== 'passed') ? 1 : 0
})

// Preloaded into every process and thread of a server under test (NODE_OPTIONS=--import): steps the wall clock that its
// JavaScript sees, as an operator or a bad NTP server would, and each process' on its own. The file that
// HOTCAKES_TEST_CLOCK names holds the steps in ms, one for each kind of process; without it nothing is stepped. Timers and
// performance.now() are monotonic on a real machine too, so they stay as they are.
import { readFileSync } from 'node:fs'

import { type ClockSteps, clockPollMs } from './clock-steps.ts'

const file = process.env['HOTCAKES_TEST_CLOCK']
const RealDate = globalThis.Date
const program = process.argv[1] ?? ''
const kind = /server\/worker\/main/.test(program) ? 'http' : /persister/.test(program) ? 'persister' : 'primary'
let stepMs = 0

function look(): void {
  try {
    const steps = JSON.parse(readFileSync(file ?? '', 'utf8')) as ClockSteps
    // The workers disagree with each other as well.
    stepMs = kind === 'http' && process.pid % 2 === 0 ? -steps.http : steps[kind]
  } catch {
    // No file, or one that is half written: the clock stays as it is.
  }
}

function now(): number {
  return RealDate.now() + stepMs
}

if (file !== undefined) {
  look()
  setInterval(look, clockPollMs).unref()
  globalThis.Date = new Proxy(RealDate, {
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  })
}

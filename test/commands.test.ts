// Goal: whoever types --help behind a command learns what it does, and a slip is told apart from a failure.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

const root = process.cwd()
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
/** The help of this one is that of its tool. */
const foreign = new Set(['format'])
/** Statuses of a slip that are not 2: these commands had others before there was one helper for all, and are run by machines. */
const usageStatuses: Readonly<Record<string, number>> = { audit: 3, recover: 3, reload: 1 }

interface Run {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const slipFirst = new URL('./helpers/slip-first.js', import.meta.url).href

/** What the script runs, without npm, and without a look whether the build is current: it is what this test is in. */
function commandOf(script: string): { program: string; args: string[]; isCompiled: boolean } {
  const words = (scripts[script] ?? '').replace(/^exec /, '').split(' ')
  const [program = '', entry = '', ...args] = words
  if (program !== 'node')
    return { program: join(root, 'node_modules/.bin', program), args: [entry, ...args], isCompiled: false }
  const isCompiled = entry === 'ops/setup/run.mjs'
  return { program: process.execPath, args: [isCompiled ? join('dist', args[0] ?? '') : entry], isCompiled }
}

async function run(program: string, args: readonly string[]): Promise<Run & { beside: string }> {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const texts = Promise.all([1, 2, 3].map((at) => text(child.stdio[at] as Readable)))
  const [status, [stdout = '', stderr = '', beside = '']] = await Promise.all([ended, texts])
  return { status, stdout, stderr, beside }
}

/** A program of many modules is started once for both. */
async function helpAndSlip(script: string): Promise<[help: Run, slip: Run | undefined]> {
  const { program, args, isCompiled } = commandOf(script)
  if (isCompiled) {
    const help = await run(program, ['--import', slipFirst, ...args, '--help'])
    assert.notEqual(help.beside, '', help.stderr)
    return [help, JSON.parse(help.beside) as Run]
  }
  if (foreign.has(script)) return [await run(program, [...args, '--help']), undefined]
  return await Promise.all([run(program, [...args, '--help']), run(program, [...args, '--no-such-option'])])
}

for (const script of Object.keys(scripts)) {
  const name = script === 'start' || script === 'test' ? `npm ${script}` : `npm run ${script}`
  const usageStatus = usageStatuses[script] ?? 2

  test(`${name} -- --help says what it does, and a slip is refused with the way there`, async () => {
    const [help, slip] = await helpAndSlip(script)
    assert.equal(help.status, 0, help.stderr)
    if (slip === undefined) return
    const [usage, empty, purpose] = help.stdout.split('\n')
    assert.ok(usage?.startsWith(`usage: ${name} -- `), usage)
    assert.deepEqual([empty, purpose !== ''], ['', true])
    assert.match(help.stdout, /\noptions\n(?: {2}.*\n)* {2}--help +this text\n/)
    // Named in the code in one word, and by people with hyphens.
    assert.doesNotMatch(help.stdout, /^ {2}--[a-z-]*[A-Z]/m)
    const rows = (help.stdout.split('\nexit status\n')[1] ?? '').matchAll(/^ {2}(\d+) {2}/gm)
    const statuses = new Set([...rows].map(([, status]) => Number(status)))
    for (const status of [0, 1, usageStatus]) assert.ok(statuses.has(status), `${status}: ${help.stdout}`)

    assert.deepEqual([slip.status, slip.stdout], [usageStatus, ''])
    const words = `${name}: Unknown option '--no-such-option'\n${name} -- --help shows`
    assert.ok(slip.stderr.includes(words), slip.stderr)
  })
}

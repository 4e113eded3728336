// Goal: whoever types --help behind a command learns what it does, and a slip is told apart from a failure.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

const root = process.cwd()
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
/** The help of this one is that of its tool. */
const foreign = new Set(['format'])
/** Statuses of a slip that are not 2: these commands had others before there was one helper for all, and are run by machines. */
const usageStatuses: Readonly<Record<string, number>> = { audit: 3, recover: 3, reload: 1 }

/** What the script runs, without npm, and without a look whether the build is current: it is what this test is in. */
function commandOf(script: string): readonly [program: string, ...args: string[]] {
  const words = (scripts[script] ?? '').replace(/^exec /, '').split(' ')
  const [program = '', entry = '', ...args] = words
  if (program !== 'node') return [join(root, 'node_modules/.bin', program), entry, ...args]
  return [process.execPath, entry === 'ops/setup/run.mjs' ? join('dist', args[0] ?? '') : entry]
}

async function run(script: string, argument: string) {
  const [program, ...args] = commandOf(script)
  const child = spawn(program, [...args, argument], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ])
  return { status, stdout, stderr }
}

for (const script of Object.keys(scripts)) {
  const name = script === 'start' || script === 'test' ? `npm ${script}` : `npm run ${script}`
  const usageStatus = usageStatuses[script] ?? 2

  test(`${name} -- --help says what it does, and a slip is refused with the way there`, async () => {
    const [help, slip] = await Promise.all([run(script, '--help'), run(script, '--no-such-option')])
    assert.equal(help.status, 0, help.stderr)
    if (foreign.has(script)) return
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

// The bench of shards is run as a user would run it, small and short: so that it can't rot. No number of it is looked at.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { temporaryFolder } from './helpers/scope.ts'

const program = fileURLToPath(new URL('../bench/scale/main.js', import.meta.url))

test('the bench of shards compares them with one, and leaves a right record', async (t) => {
  const child = spawn(process.execPath, [program, '--smoke', '--json'], { cwd: temporaryFolder(t) })
  t.after(() => child.kill('SIGTERM'))
  let [report, said] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (report += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  assert.deepEqual(await once(child, 'close'), [0, null], said)

  const { cases } = JSON.parse(report)
  assert.equal(cases.length, 1)
  const [one, two] = cases[0].places.map(({ runs }: { runs: object[] }) => runs[0])
  assert.equal(one.withoutRight, 0, 'all rights are in the one shard')
  assert.ok(two.withoutRight > 0, 'with a limit of 1 half of the buyers have theirs elsewhere')
  assert.deepEqual([one.undecided, two.undecided], [0, 0])
  assert.match(said, /audit: passed/)
})

// The bench of forged tokens is run as a user would run it, small and short: so that it can't rot. No number of it is looked at.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { floodKinds } from '../bench/tokens/kinds.ts'
import { temporaryFolder } from './helpers/scope.ts'

const program = fileURLToPath(new URL('../bench/tokens/main.js', import.meta.url))

test('the bench of forged tokens floods with each kind, and good buyers get answers', async (t) => {
  const child = spawn(process.execPath, [program, '--smoke', '--json'], { cwd: temporaryFolder(t) })
  t.after(() => child.kill('SIGTERM'))
  let [report, said] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (report += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  assert.deepEqual(await once(child, 'close'), [0, null], said)
  const { results } = JSON.parse(report)
  assert.deepEqual(
    results.map(({ kind }: { kind: string }) => kind),
    floodKinds,
  )
  for (const { kind, good } of results) {
    const statuses = Object.keys(good)
    assert.ok(statuses.length > 0 && !statuses.includes('401'), `${kind}: ${JSON.stringify(good)}`)
  }
})

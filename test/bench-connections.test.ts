// The bench of floods of new connections is run as a user would run it, small and short: so that it can't rot. No number of it
// is looked at for its size.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { FloodKind } from '../bench/connections/kinds.ts'
import { temporaryFolder } from './helpers/scope.ts'

const program = fileURLToPath(new URL('../bench/connections/main.js', import.meta.url))

/** One of each flood that there is; the kinds left out differ from the first by a setting of the server. */
const kinds: readonly FloodKind[] = ['request', 'kept', 'silent']

test('the bench of new connections floods in each way beside good buyers, and leaves right records', async (t) => {
  const asked = kinds.flatMap((kind) => ['--kind', kind])
  const child = spawn(process.execPath, [program, '--smoke', '--json', ...asked], { cwd: temporaryFolder(t) })
  t.after(() => child.kill('SIGTERM'))
  let [report, said] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (report += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  assert.deepEqual(await once(child, 'close'), [0, null], said)
  const { results, problems } = JSON.parse(report)
  assert.deepEqual(problems, [])
  assert.deepEqual(
    results.map(({ kind }: { kind: string }) => kind),
    kinds,
  )
  for (const { kind, audit, acceptedConnections, flood } of results) {
    assert.equal(audit.verdict, 'passed', kind)
    assert.ok(kind === 'kept' ? flood.answers > 0 : acceptedConnections > 0, kind)
  }
})

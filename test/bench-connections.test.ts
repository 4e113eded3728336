// The bench of floods of new connections is run as a user would run it, small and short: so that it can't rot. No number of it
// is looked at for its size.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FloodKind } from '../bench/connections/kinds.ts'
import { runBench } from './helpers/bench.ts'

/** One of each flood that there is; the kinds left out differ from the first by a setting of the server. */
const kinds: readonly FloodKind[] = ['request', 'kept', 'silent']

test('the bench of new connections floods in each way beside good buyers, and leaves right records', async (t) => {
  const asked = kinds.flatMap((kind) => ['--kind', kind])
  const { exitCode, stdout, stderr } = await runBench(t, 'connections', ['--smoke', '--json', ...asked])
  assert.equal(exitCode, 0, stderr)
  const { results, problems } = JSON.parse(stdout)
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

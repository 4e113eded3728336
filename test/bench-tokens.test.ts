// The bench of forged tokens is run as a user would run it, small and short: so that it can't rot. No number of it is looked at.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { floodKinds } from '../bench/tokens/kinds.ts'
import { runBench } from './helpers/bench.ts'

test('the bench of forged tokens floods with each kind, and good buyers get answers', async (t) => {
  const { exitCode, stdout, stderr } = await runBench(t, 'tokens', ['--smoke', '--json'])
  assert.equal(exitCode, 0, stderr)
  const { results } = JSON.parse(stdout)
  assert.deepEqual(
    results.map(({ kind }: { kind: string }) => kind),
    floodKinds,
  )
  for (const { kind, good } of results) {
    const statuses = Object.keys(good)
    assert.ok(statuses.length > 0 && !statuses.includes('401'), `${kind}: ${JSON.stringify(good)}`)
  }
})

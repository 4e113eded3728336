// The bench of shards is run as a user would run it, small and short: so that it can't rot. No number of it is looked at.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runBench } from './helpers/bench.ts'

test('the bench of shards compares them with one, and leaves a right record', async (t) => {
  const { exitCode, stdout, stderr } = await runBench(t, 'scale', ['--smoke', '--json'])
  assert.equal(exitCode, 0, stderr)

  const { cases } = JSON.parse(stdout)
  assert.equal(cases.length, 1)
  const [one, two] = cases[0].places.map(({ runs }: { runs: object[] }) => runs[0])
  assert.equal(one.withoutRight, 0, 'all rights are in the one shard')
  assert.ok(two.withoutRight > 0, 'with a limit of 1 half of the buyers have theirs elsewhere')
  assert.deepEqual([one.undecided, two.undecided], [0, 0])
  assert.match(stderr, /audit: passed/)
})

// The overload bench is run as a user would run it, small and short: so that it can't rot. No number of it is looked at.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { runBench } from './helpers/bench.ts'
import { temporaryFolder } from './helpers/scope.ts'

test('the overload bench writes a report whose record is right', async (t) => {
  const out = temporaryFolder(t)
  // A server that stands still for a moment must not turn away all that came in a phase.
  const args = ['--smoke', '--connections', '100', '--deadline', '10000', '--out', out]
  const { exitCode, stdout, stderr } = await runBench(t, 'overload', args)
  assert.equal(exitCode, 0, stderr)

  const [file] = readdirSync(out)
  const { format, goals, problems, outcome } = JSON.parse(readFileSync(join(out, file ?? ''), 'utf8'))
  assert.equal(format, 'hotcakes overload report')
  assert.equal(goals.length, 4)
  assert.deepEqual(problems, [])
  assert.equal(outcome.audit.verdict, 'passed')
  assert.equal(outcome.residentBytes.length, 3)
  assert.ok((stdout + stderr).includes('accepted/s'))
})

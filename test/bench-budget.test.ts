// The budget is made as a user would make it, short: so that it can't rot. No number of it is looked at for its size.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runBench } from './helpers/bench.ts'

function sumOf(must: Record<string, number>): number {
  return Object.values(must).reduce((sum, us) => sum + us, 0)
}

test('the budget has what an answer must cost and what it costs by process, and leaves a right record', async (t) => {
  const { exitCode, stdout, stderr } = await runBench(t, 'budget', ['--smoke', '--json'])
  assert.equal(exitCode, 0, stderr)
  const [budget] = JSON.parse(stdout).budgets
  assert.equal(budget.auditPassed, true)
  assert.ok(budget.meanBatch > 1 && budget.functionUs > 0)
  const roles = budget.posts.map(({ role }: { role: string }) => role)
  assert.deepEqual(roles, ['HTTP', 'Redis', 'persister', 'Postgres', 'primary'])
  for (const { role, must, costs } of budget.posts) {
    assert.ok(costs >= 0 && sumOf(must) >= 0, role)
    // The others' is counted in hundredths of a second.
    if (role === 'HTTP' || role === 'Redis') assert.ok(costs > 0 && sumOf(must) > 0, role)
  }
})

// The bench against the floor is run as a user would run it, short: so that it can't rot. No number of it is looked at for
// its size.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runBench } from './helpers/bench.ts'
import { temporaryFolder } from './helpers/scope.ts'

for (const requests of ['fresh', 'sold']) {
  test(`the bench of ${requests} items says what an answer costs by process, and leaves a right record`, async (t) => {
    const { exitCode, stdout, stderr } = await runBench(t, 'floor', ['--smoke', '--json', '--requests', requests])
    assert.equal(exitCode, 0, stderr)
    const { series } = JSON.parse(stdout)
    assert.equal(series.length, 1)
    const { floor, hotcakes } = series[0]
    assert.equal(hotcakes.auditPassed, true)
    assert.deepEqual(Object.keys(floor.cpuUsByRole), ['HTTP'])
    for (const role of ['HTTP', 'Redis']) assert.ok(hotcakes.cpuUsByRole[role] > 0, role)
    // What these need for few answers is less than the hundredth of a second that it is counted in.
    for (const role of ['persister', 'Postgres']) assert.ok(hotcakes.cpuUsByRole[role] >= 0, role)
    assert.ok(hotcakes.meanBatch > 1 && hotcakes.fsyncsPerAnswer > 0 && hotcakes.fsyncsPerAnswer < 1)
    assert.equal(Math.round(hotcakes.refusedShare), requests === 'sold' ? 1 : 0)
  })
}

test('a folder without another version is refused before anything is started', async (t) => {
  const { exitCode, stderr } = await runBench(t, 'floor', ['--beside', temporaryFolder(t)])
  assert.equal(exitCode, 2)
  assert.match(stderr, /is no checkout that was built: npm run build makes it one/)
})

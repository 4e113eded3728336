import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import type { MicroReport } from '../bench/micro/report.ts'
import { runBench } from './helpers/bench.ts'
import { temporaryFolder } from './helpers/scope.ts'

test('every micro-benchmark runs, and its candidates come to the same result', async (t) => {
  const list = (await runBench(t, 'micro', ['--list'])).stdout.trim().split('\n')
  const subjects = list.map((line) => line.split(' ')[0])
  assert.ok(subjects.length >= 11, `--list shows ${subjects.length}`)

  const file = join(temporaryFolder(t), 'report.json')
  const { exitCode } = await runBench(t, 'micro', ['--smoke', '--json', file])
  const report = JSON.parse(readFileSync(file, 'utf8')) as MicroReport
  assert.deepEqual(
    report.cases.filter((one) => one.void !== undefined),
    [],
  )
  assert.equal(exitCode, 0)
  assert.deepEqual([...new Set(report.cases.map(({ subject }) => subject))], subjects)
  for (const { subject, name, candidates } of report.cases) {
    assert.ok(candidates.length > 1, `${subject}: ${name} compares nothing`)
    for (const { name: candidate, medianNs } of candidates) {
      assert.ok(medianNs > 0, `${subject}: ${name}: ${candidate} took ${medianNs} ns`)
    }
  }
})

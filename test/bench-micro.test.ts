import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { MicroReport } from '../bench/micro/report.ts'
import { endsWithUs } from './helpers/ends-with-us.ts'
import { temporaryFolder } from './helpers/scope.ts'

const main = fileURLToPath(new URL('../bench/micro/main.js', import.meta.url))

async function run(t: TestContext, args: readonly string[]): Promise<{ exitCode: number | null; stdout: string }> {
  const child: ChildProcess = spawn(...endsWithUs('TERM', process.execPath, [main, ...args]), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill())
  let stdout = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode, stdout }
}

test('every micro-benchmark runs, and its candidates come to the same result', async (t) => {
  const list = (await run(t, ['--list'])).stdout.trim().split('\n')
  const subjects = list.map((line) => line.split(' ')[0])
  assert.ok(subjects.length >= 11, `--list shows ${subjects.length}`)

  const file = join(temporaryFolder(t), 'report.json')
  const { exitCode } = await run(t, ['--smoke', '--json', file])
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

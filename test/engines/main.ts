// npm run test:engines: the tests that depend on Redis or PostgreSQL, on each engine that people have.

import { runCommand } from '../../core/command-line.mjs'
import { enginesCommand, enginesIn, groupsIn } from './command.ts'
import { chosenNames, type EngineId, engines, provideEngine } from './engines.ts'
import { concerns, type GroupName } from './groups.ts'
import { type EngineReport, problemsOf, tableOf } from './report.ts'
import { type GroupResult, runGroup } from './run-group.ts'

process.exitCode = await runCommand(enginesCommand, process.argv.slice(2), async ({ tests }, operands) => {
  const [ids, names] = [enginesIn(operands), groupsIn(tests)]
  const reports: EngineReport[] = []
  for (const id of ids) reports.push(await testEngine(id, names))
  const problems = reports.flatMap(problemsOf)
  const results = reports.flatMap((report) => [...report.results.values()])
  const [passed, failed] = [sum(results.map((each) => each.passed)), sum(results.map((each) => each.failed))]
  const lines = ['', 'tests passed/failed', ...tableOf(reports, names), '', ...problems]
  process.stdout.write(`${[...lines, `${passed} passed, ${failed} failed`].join('\n')}\n`)
  return problems.length === 0 ? 0 : 1
})

async function testEngine(id: EngineId, names: readonly GroupName[]): Promise<EngineReport> {
  const results = new Map<GroupName, GroupResult>()
  for (const name of chosenNames) delete process.env[name]
  try {
    Object.assign(process.env, provideEngine(id, { say }))
  } catch (error) {
    return { id, results, obstacle: (error as Error).message }
  }
  for (const name of names.filter((each) => concerns(each, engines[id].service))) {
    const startedMs = performance.now()
    const result = await runGroup(name, (test) => say(`  ✔ ${test}`))
    results.set(name, result)
    const seconds = Math.round((performance.now() - startedMs) / 1_000)
    process.stdout.write(`${id} ${name}: ${result.passed} passed, ${result.failed} failed (${seconds} s)\n`)
    for (const failure of result.failures) process.stdout.write(`  ✖ ${failure.replaceAll('\n', '\n    ')}\n`)
  }
  return { id, results }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

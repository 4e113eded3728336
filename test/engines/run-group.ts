import { finished } from 'node:stream/promises'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'

import { type GroupName, groups } from './groups.ts'

/** The longest group, a whole sale, takes about a minute on two idle cores. */
const fileMsMax = 10 * 60_000
/** Enough for an error with its stack and the last lines of a server's log. */
const stderrCharsMax = 4_000

export interface GroupResult {
  readonly passed: number
  /** Also those that were skipped or cancelled: they have shown nothing. */
  readonly failed: number
  readonly failures: readonly string[]
  /** What the tests said of the engines, by service. */
  readonly versions: ReadonlyMap<string, string>
}

/** Runs a group's files, one after the other, with the environment of this process; tells of each test that passed. */
export async function runGroup(name: GroupName, onPassed: (test: string) => void): Promise<GroupResult> {
  const files = groups[name].files.map((file) => fileURLToPath(new URL(`../${file}`, import.meta.url)))
  const counts = new Map<string, number>()
  const failures: string[] = []
  const versions = new Map<string, string>()
  const results = run({ files, concurrency: 1, timeout: fileMsMax })
  results.on('test:diagnostic', ({ message }) => {
    const [, word = '', value = ''] = /^(\w+):? (.*)$/.exec(message) ?? []
    if (word === 'redis' || word === 'postgres') versions.set(word, value)
    else if (/^\d+$/.test(value)) counts.set(word, Number(value))
  })
  results.on('test:pass', (test) => onPassed(test.name))
  // Where a whole file fails, the reason is only here.
  let stderr = ''
  results.on('test:stderr', ({ message }) => (stderr += message))
  results.on('test:fail', (test) =>
    failures.push(`${test.name}\n${String(test.details.error.cause ?? test.details.error)}`),
  )
  await finished(results.resume())
  const passed = counts.get('pass') ?? 0
  const failed = Math.max((counts.get('tests') ?? 0) - passed, failures.length)
  if (failed > 0 && stderr !== '') failures.push(`standard error ends\n${stderr.trim().slice(-stderrCharsMax)}`)
  return { passed, failed, failures, versions }
}

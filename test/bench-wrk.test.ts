import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

/** A module and all that it imports of the project, by their paths below the root. */
function closureOf(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen
  seen.add(path)
  for (const [, to = ''] of readFileSync(path, 'utf8').matchAll(/from '(\.[^']+)'/g))
    closureOf(join(dirname(path), to), seen)
  return seen
}

function runsWrk(folder: string): boolean {
  return [...closureOf(join('bench', folder, 'main.ts'))].some((path) => readFileSync(path, 'utf8').includes("'wrk'"))
}

test('wrk is fetched for every benchmark that runs it, and for no other', async () => {
  const { wrkBenchmarks } = (await import(new URL('../../ops/setup/wrk-benchmarks.mjs', import.meta.url).href)) as {
    wrkBenchmarks: readonly string[]
  }
  const folders = readdirSync('bench').filter((folder) => existsSync(join('bench', folder, 'main.ts')))
  assert.ok(folders.length > 10, 'the benchmarks are found')
  assert.deepEqual(folders.filter(runsWrk).toSorted(), [...wrkBenchmarks].toSorted())
  for (const folder of wrkBenchmarks) assert.ok(existsSync(`test/bench-${folder}.test.ts`), folder)
})

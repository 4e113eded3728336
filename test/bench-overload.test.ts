// The overload bench is run as a user would run it, small and short: so that it can't rot. No number of it is looked at.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { endsWithUs } from './helpers/ends-with-us.ts'
import { temporaryFolder } from './helpers/scope.ts'

const program = fileURLToPath(new URL('../bench/overload/main.js', import.meta.url))

test('the overload bench writes a report whose record is right', async (t) => {
  const out = temporaryFolder(t)
  const child = spawn(
    ...endsWithUs('TERM', process.execPath, [program, '--smoke', '--connections', '100', '--out', out]),
    { cwd: out },
  )
  t.after(() => child.kill('SIGTERM'))
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  assert.deepEqual(await once(child, 'close'), [0, null], text)

  const [file] = readdirSync(out)
  const { format, goals, problems, outcome } = JSON.parse(readFileSync(join(out, file ?? ''), 'utf8'))
  assert.equal(format, 'hotcakes overload report')
  assert.equal(goals.length, 4)
  assert.deepEqual(problems, [])
  assert.equal(outcome.audit.verdict, 'passed')
  assert.equal(outcome.residentBytes.length, 3)
  assert.ok(text.includes('accepted/s'))
})

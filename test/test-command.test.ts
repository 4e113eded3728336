// npm test that is ended early ends all that it has started: a server that went on would keep ports, memory and a core.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { pidsBelow, pidsOfFamily, roleOf } from '../bench/harness/process-cpu.ts'
import { endsWithUs } from './helpers/ends-with-us.ts'
import { eventually } from './helpers/eventually.ts'
import { temporaryFolder } from './helpers/scope.ts'

const program = fileURLToPath(new URL('../../ops/setup/test.mjs', import.meta.url))

test('SIGTERM ends the test files and the services and servers that they run', async (t) => {
  const folder = temporaryFolder(t)
  // Else the runner takes itself for a part of this run, and runs nothing.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(...endsWithUs('TERM', process.execPath, [program, 'test/sell-out.test']), {
    env: { ...env, TMPDIR: folder },
    stdio: 'ignore',
  })
  t.after(() => {
    child.kill('SIGKILL')
  })
  const ended = once(child, 'close')
  const { pid = 0 } = child
  await eventually(() => pidsBelow(pid, roleOf, 'HTTP workers').length > 0, { what: 'its server has workers' })
  const family = pidsOfFamily(pid)
  assert.ok(pidsBelow(pid, roleOf, 'Postgres').length > 0 && pidsBelow(pid, roleOf, 'Redis').length > 0)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [1, null])
  await eventually(() => family.every((one) => !existsSync(`/proc/${one}`)), {
    what: 'none of its processes is there',
  })
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('hotcakes-test-templates-')),
    [],
  )
})

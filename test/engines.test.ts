// Goal: what the newest engine that people install does differently shows at once, in every run of the tests.
// Method: the quickest part of npm run test:engines, on Redis 8 as Debian 13 has it. Where it can't be had this test fails, and
// says what is needed: a release that nobody tried is how Redis 8 came to be refused.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { provideEngine } from './engines/engines.ts'
import { problemsOf } from './engines/report.ts'
import { temporaryFolder } from './helpers/scope.ts'

const tool = fileURLToPath(new URL('engines/main.js', import.meta.url))

function runTool(...args: string[]) {
  // Node's runner runs nothing in a process that it believes to be one of its own test files.
  const { NODE_TEST_CONTEXT: _ours, ...env } = process.env
  return spawnSync(process.execPath, [tool, ...args], { env, encoding: 'utf8' })
}

test('Redis 8 sells by the same rules, from start to stop', () => {
  const { status, stdout, stderr } = runTool('redis-8', '--tests', 'semantics')
  assert.equal(status, 0, `${stdout}\n${stderr}`)
  assert.match(stdout, /^redis-8 +Redis 8\.\d+\.\d+ +PostgreSQL 18\.\S+ +1\/0 +\d\d\/0$/m)
})

test('tests that fail, that did not run, or that ran on another engine are failures', () => {
  const start = { passed: 1, failed: 0, failures: [], versions: new Map([['redis', 'Redis 8.0.2']]) }
  const report = (semantics: { passed: number; failed: number }, versions = start.versions) =>
    problemsOf({
      id: 'redis-8',
      results: new Map([
        ['start', { ...start, versions }],
        ['semantics', { ...start, ...semantics }],
      ]),
    })
  assert.deepEqual(report({ passed: 16, failed: 0 }), [])
  assert.deepEqual(report({ passed: 15, failed: 1 }), ['redis-8: semantics: 1 of 16 tests failed'])
  assert.deepEqual(report({ passed: 0, failed: 0 }), ['redis-8: semantics: 0 of 0 tests failed'])
  const other = report({ passed: 16, failed: 0 }, new Map([['redis', 'Redis 7.0.15']]))
  assert.deepEqual(other, ['redis-8: the tests ran on Redis 7.0.15, not on Redis 8.x'])
})

test('an engine that cannot be fetched is named, with what to do about it', (t) => {
  const path = process.env['PATH'] ?? ''
  const server = process.env['HOTCAKES_ENGINE_REDIS_7']
  t.after(() => {
    process.env['PATH'] = path
    if (server !== undefined) process.env['HOTCAKES_ENGINE_REDIS_7'] = server
  })
  delete process.env['HOTCAKES_ENGINE_REDIS_7']
  process.env['PATH'] = temporaryFolder(t) // without apt-get
  const folder = temporaryFolder(t)
  const message = /^Redis 7\.0\.x is needed .*redis-server of bookworm .* set HOTCAKES_ENGINE_REDIS_7 to its server/
  assert.throws(() => provideEngine('redis-7', { folder, say: () => undefined }), { message })
  assert.deepEqual(readdirSync(folder), [])
})

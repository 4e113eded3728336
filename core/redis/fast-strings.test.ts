import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

function areStringsFastAfterImporting(module: string): boolean {
  const program = `await import(${JSON.stringify(module)}); process.stdout.write(String(%HasFastProperties(String.prototype)))`
  const flags = ['--allow-natives-syntax', '--input-type=module', '--eval', program]
  return execFileSync(process.execPath, flags, { encoding: 'utf8' }) === 'true'
}

test('strings are fast in a process that talks to Redis', () => {
  assert.ok(areStringsFastAfterImporting(new URL('./connection.js', import.meta.url).href))
})

test('ioredis alone makes them slow: when this fails, fast-strings.ts is not needed any more', () => {
  assert.ok(!areStringsFastAfterImporting(import.meta.resolve('ioredis')))
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

import { fileDescriptorsReserved } from '../limits.ts'
import { connectionsPossible } from './descriptor-limit.ts'

test('a process with few file descriptors keeps some of them from its clients', () => {
  const compiled = new URL('descriptor-limit.js', import.meta.url)
  const script = `import('${compiled.href}').then((module) => console.log(module.connectionsPossible(10000)))`
  const possible = execFileSync('sh', ['-c', 'ulimit -n 500 && exec "$0" -e "$1"', process.execPath, script])
  assert.equal(Number(possible), 500 - fileDescriptorsReserved)
  assert.equal(connectionsPossible(1), 1)
})

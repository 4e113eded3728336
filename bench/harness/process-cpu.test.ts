import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'

import { roleOf } from './process-cpu.ts'

test('a process of ours has its role by the program that is there', () => {
  const roles = {
    'server/primary/main.ts': 'primary',
    'server/worker/main.ts': 'HTTP workers',
    'workers/persister-main.ts': 'persister',
  }
  for (const [source, role] of Object.entries(roles)) {
    assert.ok(existsSync(source), `${source} has moved: roleOf has to follow`)
    assert.equal(roleOf(`/usr/bin/node /srv/dist/${source.replace('.ts', '.js')}`, 'node'), role)
  }
  assert.equal(roleOf('redis-server 127.0.0.1:6379', 'redis-server'), 'Redis')
})

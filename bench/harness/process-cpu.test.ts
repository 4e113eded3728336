import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { cpuSecondsBelow, cpuSecondsOf, roleOf } from './process-cpu.ts'

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

/** By the one way to count, and by the other. */
function counted(): [own: number, below: number] {
  const below = cpuSecondsBelow(process.pid, () => 'all')
  return [cpuSecondsOf(process.pid), below.get('all') ?? 0]
}

test('a child that has ended counts on as its parent, and once', () => {
  const before = counted()
  // By its own clock of CPU, so that it is as much on a busy machine.
  const burn = 'while (process.cpuUsage().user < 400_000);'
  assert.equal(spawnSync(process.execPath, ['--eval', burn]).status, 0)
  const after = counted()
  const [own, below] = [after[0] - before[0], after[1] - before[1]]
  assert.ok(own >= 0.4, `${own} s`)
  assert.ok(Math.abs(below - own) < 0.2, `${below} s, and ${own} s`)
})

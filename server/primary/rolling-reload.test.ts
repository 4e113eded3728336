import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'

import { loadConfig } from '../../core/config/load.ts'
import { createLog } from '../../core/log.ts'
import type { Child } from './child.ts'
import { type ReloadResult, RollingReload } from './rolling-reload.ts'

const config = loadConfig({ env: {} })

/** A reload of one worker that is ready, beside so many that start and wait. */
function setUp({ starting, isShort = false }: { starting: number; isShort?: boolean }) {
  let looks = 0
  const results: ReloadResult[] = []
  const bell = new EventEmitter()
  const ended = once(bell, 'end')
  const replaced: string[] = []
  const reload = new RollingReload({
    supervisor: {
      count: () => (isShort && ++looks > 2 ? 0 : starting),
      ready: () => [{ kind: 'http' } as Child],
      staying: () => Array.from({ length: starting }, () => ({ waitsFor: isShort ? undefined : 'Redis' }) as Child),
      supersede: ({ kind }) => Promise.resolve(replaced.push(kind) > 0),
      reconfigure: () => undefined,
    },
    config,
    readConfig: () => config,
    log: createLog({ level: 'silent', process: 'test' }),
    signal: new AbortController().signal,
    onEnd: (result) => {
      results.push(result)
      bell.emit('end')
    },
  })
  return { reload, results, replaced, ended }
}

test('with workers that start and wait, and keep the settings of before, a reload fails and replaces nobody', async () => {
  for (const [starting, result] of [
    [1, 'failed'],
    [0, 'done'],
  ] as const) {
    const { reload, results, replaced } = setUp({ starting })
    reload.request()
    await new Promise(setImmediate)
    assert.deepEqual([results, replaced.length], [[result], starting === 0 ? 1 : 0])
  }
})

test('a worker that is just starting is waited for', async () => {
  const { reload, results, replaced, ended } = setUp({ starting: 1, isShort: true })
  reload.request()
  await ended
  assert.deepEqual([results, replaced.length], [['done'], 1])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { loadConfig } from '../core/config/load.ts'
import { createLog } from '../core/log.ts'
import type { Child } from './child.ts'
import { type ReloadResult, RollingReload } from './rolling-reload.ts'

const config = loadConfig({ env: {} })

/** A reload of one worker that is ready, beside so many that start and wait. */
function setUp({ starting }: { starting: number }) {
  const results: ReloadResult[] = []
  const replaced: string[] = []
  const reload = new RollingReload({
    supervisor: {
      count: () => starting,
      ready: () => [{ kind: 'http' } as Child],
      staying: () => Array.from({ length: starting }, () => ({ waitsFor: 'Redis' }) as Child),
      supersede: ({ kind }) => Promise.resolve(replaced.push(kind) > 0),
      reconfigure: () => undefined,
    },
    config,
    readConfig: () => config,
    log: createLog({ level: 'silent', process: 'test' }),
    signal: new AbortController().signal,
    onEnd: (result) => results.push(result),
  })
  return { reload, results, replaced }
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

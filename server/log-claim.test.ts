import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseLogPosition } from '../core/log-position.ts'
import { assertLogComplete } from './log-claim.ts'

function check(options: { last: string; backlogEntries: number; before: string; after?: string }): void {
  const { last, backlogEntries, before, after = before } = options
  const committed = { before: parseLogPosition(before), after: parseLogPosition(after) }
  assertLogComplete({ last: parseLogPosition(last), backlogEntries }, committed)
}

test('a new Redis and a new database belong together', () => {
  check({ last: '0-0', backlogEntries: 0, before: '0-0' })
})

test('a log that continues where Postgres ends is complete, trimmed or not', () => {
  check({ last: '1-7', backlogEntries: 7, before: '0-0' })
  check({ last: '1-7', backlogEntries: 4, before: '1-3' })
  check({ last: '1-7', backlogEntries: 7, before: '1-3' })
  check({ last: '1-7', backlogEntries: 0, before: '1-7' })
  check({ last: '2-5', backlogEntries: 5, before: '1-900' })
})

test('a Redis that was emptied, or is an older copy, has lost the log', () => {
  const lost = { code: 'HC_LOG_LOST' }
  assert.throws(() => check({ last: '0-0', backlogEntries: 0, before: '1-1' }), lost)
  assert.throws(() => check({ last: '1-6', backlogEntries: 6, before: '1-7' }), lost)
  assert.throws(() => check({ last: '1-900', backlogEntries: 0, before: '2-1' }), lost)
})

test('entries that were trimmed and are not in Postgres are a gap', () => {
  const gap = { code: 'HC_LOG_GAP' }
  assert.throws(() => check({ last: '1-7', backlogEntries: 6, before: '0-0' }), gap)
  assert.throws(() => check({ last: '1-7', backlogEntries: 3, before: '1-3' }), gap)
  assert.throws(() => check({ last: '2-5', backlogEntries: 4, before: '1-900' }), gap)
})

test('what another persister commits and trims meanwhile is neither', () => {
  check({ last: '1-9', backlogEntries: 1, before: '1-3', after: '1-8' })
  check({ last: '1-9', backlogEntries: 0, before: '1-3', after: '1-12' })
})

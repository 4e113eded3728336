import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../core/faults.ts'
import { copyLockMsMax, drainRetryDelayMsMax, drainRetryDelayMsMin, redisReconnectDelayMsMax } from '../core/limits.ts'
import { createLog, type Log } from '../core/log.ts'
import { Troubles } from './troubles.ts'

const silent = createLog({ level: 'silent', process: 'test' })
const postgresGone = new Fault('HC_POSTGRES_UNAVAILABLE', 'gone')
const redisGone = new Fault('HC_REDIS_UNAVAILABLE', 'gone')

test('waits grow from the least to the longest, and start over after a success', () => {
  const troubles = new Troubles(silent, true)
  const waits = Array.from({ length: 30 }, () => troubles.met(postgresGone))
  assert.equal(waits[0], drainRetryDelayMsMin)
  assert.equal(waits[1], drainRetryDelayMsMin * 2)
  assert.equal(waits.at(-1), drainRetryDelayMsMax)
  troubles.over()
  assert.equal(troubles.met(postgresGone), drainRetryDelayMsMin)
})

test('for Redis, whose client reconnects by itself, the waits stay short', () => {
  const troubles = new Troubles(silent, true)
  const waits = Array.from({ length: 30 }, () => troubles.met(redisGone))
  assert.equal(waits.at(-1), redisReconnectDelayMsMax)
})

test('another reason is said as well, and the same one again when somebody waits for the end', () => {
  const told: string[] = []
  const tell = (_fields: unknown, message: string): void => void told.push(message)
  const troubles = new Troubles({ ...silent, warn: tell, error: tell, info: tell } as unknown as Log, true)
  const [first, second] = [new Fault('HC_LOG_MALFORMED', 'one'), new Fault('HC_LOG_MALFORMED', 'two')]
  for (const fault of [first, first, second, second]) troubles.met(fault)
  assert.deepEqual(told, ['the log is not drained: one', 'the log is not drained: two'])
  troubles.remind()
  assert.deepEqual(told.slice(2), ["the log can't be drained to its end yet: two"])
  troubles.over()
  troubles.remind()
  assert.deepEqual(told.slice(3), ['the log is drained again'])
})

test('after a lock, which was waited for already, the next attempt follows soon, or leaves the thread to others', () => {
  const locked = new Fault('HC_POSTGRES_LOCKED', 'by somebody')
  for (const [isAlone, delayMs] of [
    [true, drainRetryDelayMsMin],
    [false, copyLockMsMax],
  ] as const) {
    const troubles = new Troubles(silent, isAlone)
    const waits = Array.from({ length: 9 }, () => troubles.met(locked))
    assert.deepEqual(new Set(waits), new Set([delayMs]))
  }
})

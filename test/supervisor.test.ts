import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { Config } from '../core/config/load.ts'
import type { Fault } from '../core/faults.ts'
import type { ChildKind } from '../core/ipc.ts'
import { crashBudgetDeaths, watchGapMsMax, watchIntervalMs } from '../core/limits.ts'
import { createLog } from '../core/log.ts'
import type { Child } from '../server/primary/child.ts'
import { Supervisor } from '../server/primary/supervisor.ts'
import { eventually } from './helpers/eventually.ts'
import type { Scope } from './helpers/scope.ts'
import { temporaryFolder } from './helpers/scope.ts'
import type { ChildScript } from './helpers/scripted-child.ts'

const scripted = fileURLToPath(new URL('./helpers/scripted-child.js', import.meta.url))
const noAbort = new AbortController().signal

/** A supervisor of scripted children, and what it told. */
function supervise(scope: Scope, script: ChildScript, heartbeatSeconds = 10, startMsMax?: number) {
  const told = { gone: [] as Child[], restarts: [] as ChildKind[], faults: [] as Fault[] }
  const supervisor = new Supervisor({
    config: { app: { heartbeatSeconds }, script } as unknown as Config,
    executables: { http: scripted, persister: scripted },
    log: createLog({ level: 'silent', process: 'test' }),
    ...(startMsMax === undefined ? {} : { startMsMax }),
    onBudgetSpent: (fault) => told.faults.push(fault),
  })
  supervisor.onGone((child) => told.gone.push(child))
  supervisor.onRestart((kind) => told.restarts.push(kind))
  scope.after(async () => {
    await supervisor.kill('the test is over')
    supervisor.close()
  })
  return { supervisor, told }
}

/** There must be one: a signal to the pid 0 would go to the test itself. */
function pidOf(child: Child | undefined): number {
  assert.ok(child !== undefined && child.pid > 0)
  return child.pid
}

test('a child that is refused is not waited for like one that finds nobody: its end says why', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'refused' }, 10, 5_000)
  supervisor.start('http', 1)
  // Of processes that a busy machine starts slowly the first may have been killed before it said anything.
  const said = /^SIGKILL: it was not ready after 5000 ms: it waits for a service \(NOPERM\)$/
  await eventually(() => told.gone.some(({ end }) => said.test(end)), { what: 'an end that says why' })
})

test('a child that dies is replaced, and its end is told with its signal', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'steady' })
  supervisor.start('http', 2)
  await supervisor.allReady(noAbort)
  const [first, second] = supervisor.reachable()
  assert.deepEqual([supervisor.wanted('http'), supervisor.staying('http').length], [2, 2])
  process.kill(pidOf(first), 'SIGKILL')
  await eventually(() => told.gone.length === 1)
  assert.equal(supervisor.wanted('http'), 2, 'also before there is a replacement')
  await eventually(() => told.restarts.length === 1)
  await supervisor.allReady(noAbort)
  assert.equal(told.gone[0], first)
  assert.equal(first?.end, 'SIGKILL')
  assert.equal(supervisor.count('http', 'ready'), 2)
  assert.ok(supervisor.reachable().includes(second as Child), 'the other one stayed')
})

/** The least that can be set: above what a busy machine makes a child or the test itself wait. */
const leastHeartbeatSeconds = 3

test('a child that falls silent is killed and replaced, a stopped one too', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'steady' }, leastHeartbeatSeconds)
  supervisor.start('http', 2)
  await supervisor.allReady(noAbort)
  const [stopped] = supervisor.reachable()
  process.kill(pidOf(stopped), 'SIGSTOP')
  await eventually(() => told.restarts.length === 1)
  assert.equal(told.gone[0], stopped)
  assert.match(stopped?.end ?? '', /^SIGKILL: it was silent for 3000 ms$/)
})

test('children are not blamed for a silence in which the primary itself did not run', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'steady' }, leastHeartbeatSeconds)
  supervisor.start('http', 1)
  await supervisor.allReady(noAbort)
  const [child] = supervisor.reachable()
  const frozen = new Int32Array(new SharedArrayBuffer(4))
  Atomics.wait(frozen, 0, 0, Math.max(watchGapMsMax, leastHeartbeatSeconds * 1_000) + watchIntervalMs)
  const thawedMs = performance.now()
  await eventually(() => child !== undefined && child.silentSinceMs > thawedMs + 2 * watchIntervalMs)
  assert.deepEqual(told.gone, [])
})

test('who is not ready in time is named, with why the last one ended', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'stillborn' })
  supervisor.start('persister', 1)
  await eventually(() => told.gone.length > 0)
  await assert.rejects(supervisor.allReady(noAbort, 1), (fault: Fault) => {
    assert.equal(fault.code, 'HC_START_TIMEOUT')
    assert.match(
      fault.message,
      /^not ready after 1 ms: persister \(its last one ended: exit status 1: HC_REDIS_UNAVAILABLE: nobody there\)$/,
    )
    return true
  })
})

test('deaths above the crash budget end the replacing, and the fault says why the last one died', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'stillborn' })
  supervisor.start('http', crashBudgetDeaths + 1)
  await eventually(() => told.faults.length > 0)
  await eventually(() => supervisor.describe().length === 0)
  assert.equal(told.faults.length, 1)
  assert.equal(told.faults[0]?.code, 'HC_CRASH_BUDGET')
  assert.match(told.faults[0]?.message ?? '', /http, exit status 1: HC_REDIS_UNAVAILABLE: nobody there$/)
  assert.equal(supervisor.count('http', 'waiting'), 0)
})

test('a start that is given up in its middle says so', async (t) => {
  const { supervisor } = supervise(t, { behaviour: 'stillborn' })
  const abort = new AbortController()
  supervisor.start('http', 1)
  const ready = supervisor.allReady(abort.signal)
  abort.abort(new Error('enough'))
  await assert.rejects(ready, /enough/)
})

test('a drain ends when the last child has ended, also one that was only starting', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'steady' })
  supervisor.start('http', 2)
  await supervisor.allReady(noAbort)
  supervisor.start('http', 1)
  assert.deepEqual(await supervisor.drain('http'), [])
  assert.equal(told.gone.length, 3)
  assert.deepEqual(told.restarts, [])
  assert.ok(told.gone.every(({ isCleanExit }) => isCleanExit))
})

test('what a child leaves, or takes along when it dies in its drain, is told', async (t) => {
  const untidy = supervise(t, { behaviour: 'untidy' }).supervisor
  untidy.start('persister', 1)
  await untidy.allReady(noAbort)
  const [leftFirst, leftSecond] = await untidy.drain('persister')
  assert.equal(leftFirst, 'half of the work')
  assert.match(leftSecond ?? '', /^persister process \d+ died while it drained: exit status 1$/)

  const { supervisor } = supervise(t, { behaviour: 'stubborn' })
  supervisor.start('http', 1)
  await supervisor.allReady(noAbort)
  const drained = supervisor.drain('http')
  process.kill(pidOf(supervisor.reachable()[0]), 'SIGKILL')
  assert.match((await drained).join(), /^http process \d+ died while it drained: SIGKILL$/)
})

test('a persister that dies in its drain is replaced by one that finishes it', async (t) => {
  const flag = join(temporaryFolder(t), 'flag')
  writeFileSync(flag, '')
  const { supervisor, told } = supervise(t, { behaviour: 'frail', flag })
  supervisor.start('persister', 1)
  await supervisor.allReady(noAbort)
  assert.deepEqual(await supervisor.drain('persister'), [])
  assert.deepEqual(told.restarts, ['persister'])
})

test('a persister whose replacement was waiting for its back-off is started for the drain', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'steady' })
  supervisor.start('persister', 1)
  await supervisor.allReady(noAbort)
  // Its back-off of 100 ms begins in the same turn.
  const gone = new Promise((resolve) => supervisor.onGone(resolve))
  process.kill(pidOf(supervisor.reachable()[0]), 'SIGKILL')
  await gone
  assert.equal(supervisor.count('persister', 'waiting'), 1)
  assert.deepEqual(await supervisor.drain('persister'), [])
  assert.deepEqual(told.restarts, ['persister'])
  assert.equal(told.gone.at(-1)?.isCleanExit, true)
})

test('a child is superseded only by one that is ready; when that one fails, the old one works on', async (t) => {
  const { supervisor, told } = supervise(t, { behaviour: 'steady' })
  supervisor.start('http', 2)
  await supervisor.allReady(noAbort)
  const [first, second] = supervisor.ready('http')
  assert.ok(first !== undefined && second !== undefined)

  assert.equal(await supervisor.supersede(first), true)
  const after = supervisor.ready('http')
  assert.deepEqual([after.length, after.includes(first), after.includes(second)], [2, false, true])

  supervisor.reconfigure({ app: { heartbeatSeconds: 10 }, script: { behaviour: 'stillborn' } } as unknown as Config)
  assert.equal(await supervisor.supersede(second), false)
  assert.deepEqual(supervisor.ready('http'), after)
  assert.deepEqual(told.restarts, [], 'and nobody is started for the one that failed')
})

test('a child that dies while its successor starts leaves as many as there should be', async (t) => {
  const { supervisor } = supervise(t, { behaviour: 'steady' })
  supervisor.start('http', 1)
  await supervisor.allReady(noAbort)
  const [old] = supervisor.ready('http')
  assert.ok(old !== undefined)
  const superseded = supervisor.supersede(old)
  process.kill(pidOf(old), 'SIGKILL')
  assert.equal(await superseded, true)
  await supervisor.allReady(noAbort)
  await eventually(() => supervisor.count('http', 'draining') === 0)
  assert.equal(supervisor.count('http', 'ready'), 1)
})

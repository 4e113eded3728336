import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { join } from 'node:path'
import { test } from 'node:test'

import { ownLauncher } from '../ops/embedded/launcher.ts'
import { EmbeddedService, type ServiceExit, type ServicePlan } from '../ops/embedded/service.ts'
import { stillRunning } from './helpers/processes.ts'
import { type Scope, temporaryFolder } from './helpers/scope.ts'

function planOf(scope: Scope, command: readonly string[]): ServicePlan {
  return {
    name: 'a service',
    launcher: ownLauncher,
    command: () => command,
    answers: () => Promise.resolve(true),
    deathSignal: 'TERM',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    logFile: join(temporaryFolder(scope), 'log'),
    onLaunch: () => undefined,
    waiting: { say: () => undefined, signal: new AbortController().signal },
  }
}

test('a signal that could not be sent is no end of the service, and nobody has to wait for it', async (t) => {
  const launched: ChildProcess[] = []
  const remember = (message: unknown) => void launched.push((message as { process: ChildProcess }).process)
  diagnostics.subscribe('child_process', remember)
  const service = await EmbeddedService.start(planOf(t, ['sleep', '600']))
  diagnostics.unsubscribe('child_process', remember)
  t.after(() => service.stop())
  const exits: ServiceExit[] = []
  void service.reportUnexpectedExit((exit) => exits.push(exit))

  // What Node tells when the system refuses a signal: as an ordinary user one can't be refused by one's own child.
  const child = launched.find(({ pid }) => pid === service.pid)
  assert.ok(child !== undefined)
  for (let n = 0; n < 2; n++) child.emit('error', Object.assign(new Error('kill EPERM'), { code: 'EPERM' }))
  await new Promise((resolve) => setImmediate(resolve)) // a rejection that nobody has seen would fail the test by now
  assert.equal(stillRunning([service.pid]).length, 1)
  assert.deepEqual(exits, [])

  process.kill(service.pid, 'SIGKILL')
  await service.stop()
  assert.deepEqual(stillRunning([service.pid]), [])
})

test('the end of a service that nobody asked for is told, with its signal', async (t) => {
  const service = await EmbeddedService.start(planOf(t, ['sleep', '600']))
  t.after(() => service.stop())
  const told = new Promise<ServiceExit>((resolve) => void service.reportUnexpectedExit(resolve))
  process.kill(service.pid, 'SIGKILL')
  assert.deepEqual(await told, { service: 'a service', code: null, signal: 'SIGKILL' })
})

test('a program that is not there is a fault that names the service', async (t) => {
  const launcher = { ...ownLauncher, prefix: ['/nowhere/at/all'] }
  await assert.rejects(EmbeddedService.start({ ...planOf(t, ['sleep', '600']), launcher }), {
    code: 'HC_EMBEDDED_FAILED',
    message: /^a service /,
  })
})

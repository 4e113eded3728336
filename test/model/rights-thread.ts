// Plays the model alone, as it is started with: see rights-aside.ts.

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import type { AsideTask } from './rights-aside.ts'
import { assertHolds, findBreach } from './rights-series.ts'
import { scenarioOf } from './rights-steps.ts'

const task = workerData as AsideTask
assert.ok(parentPort)

function answer(): Promise<unknown> {
  if (task.kind === 'holds') {
    const { scenario, ...expectation } = task.expectation
    return assertHolds(scenarioOf(scenario), expectation)
  }
  const { scenario, ...series } = task.series
  return findBreach(scenarioOf(scenario), series)
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
parentPort.postMessage(await answer())

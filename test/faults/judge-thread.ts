// Judges the evidence that it is started with: see judgeAside.

import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'

import { judge } from './checker.ts'
import type { Evidence } from './evidence.ts'

const { evidence, intervalMs } = workerData as { evidence: Evidence; intervalMs: number }
assert.ok(parentPort)
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
parentPort.postMessage(judge(evidence, intervalMs))

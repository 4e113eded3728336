import cluster from 'node:cluster'

import { completed } from '../../core/config/completed.ts'
import type { Config } from '../../core/config/load.ts'
import { Fault } from '../../core/faults.ts'
import { sendToPrimary, shardOfMessage, type ToChild } from '../../core/ipc.ts'
import { heartbeatIntervalMs } from '../../core/limits.ts'
import { createLog, type Log } from '../../core/log.ts'
import { HttpWorker } from './http-worker.ts'
import { orphanFinishMs } from './limits.ts'

/*
 * The HTTP worker process. Forked by the primary, which tells it everything over the IPC channel: see core/ipc.ts.
 */

let log: Log = createLog({ level: 'info', process: 'http' })
let worker: HttpWorker | undefined
let isEnding = false

// A terminal's Ctrl+C reaches the whole process group. The primary alone decides what it means.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

process.on('uncaughtException', (error) => {
  log.fatal(error, 'a bug: this worker ends')
  process.exit(1)
})

setInterval(() => {
  if (worker === undefined) sendToPrimary({ type: 'heartbeat' })
  for (const { number, seen } of worker?.shards.all ?? []) sendToPrimary({ type: 'heartbeat', shard: number, seen })
  if (worker?.waitsFor !== undefined) sendToPrimary({ type: 'waiting', ...worker.waitsFor })
}, heartbeatIntervalMs)

process.on('message', (message: ToChild) => {
  if (message.type === 'start') void start(completed(message.config), message.answersProbes === true)
  else if (message.type === 'metrics') void sendMetrics(message.id)
  else if (message.type === 'health') afterReading(() => sendHealth(message.id))
  else if (message.type === 'probed') worker?.probed(message.id, message.round)
  else if (message.type === 'retire') void end(() => worker?.retire())
  else if (message.type === 'record') worker?.primarySays(shardOfMessage(message), message.report)
  else if (message.type === 'token_keys') worker?.takeKeys(message)
  else if (message.type === 'seen') afterReading(() => sendSeen(shardOfMessage(message)))
  else void end(() => worker?.drain())
})
sendToPrimary({ type: 'listening' })

// node:cluster would end this process at once, with status 0 and its requests unanswered, when the primary is gone.
if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
// Nobody watches this process any more, or would stop it: it must not go on selling.
process.on('disconnect', () => {
  if (!isEnding) log.error('the primary is gone: this worker ends')
  void end(() => worker?.stop(orphanFinishMs), 1)
})

async function start(config: Config, primaryAnswersProbes: boolean): Promise<void> {
  log = createLog({ level: config.log.level, process: 'http' })
  worker = new HttpWorker(config, log, { primaryAnswersProbes })
  try {
    await worker.start(() => sendToPrimary({ type: 'accepting' }))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    // The primary logs it.
    sendToPrimary({ type: 'failed', code: error.code, message: error.message })
    process.exit(1)
  }
  sendToPrimary({ type: 'ready' })
}

/** After the turn, in which the last answers of a Redis that is gone by now, and its end, may still lie unread. */
function afterReading(action: () => void): void {
  setImmediate(() => setImmediate(action))
}

function sendHealth(id: number): void {
  if (worker !== undefined) sendToPrimary({ type: 'health', id, health: worker.health })
}

function sendSeen(shard: number): void {
  sendToPrimary({ type: 'seen', shard, seen: worker?.shards.all[shard]?.seen })
}

async function sendMetrics(id: number): Promise<void> {
  const metrics = (await worker?.registry.getMetricsAsJSON()) ?? []
  sendToPrimary({ type: 'metrics', id, metrics })
}

async function end(finish: () => Promise<void> | undefined, exitCode = 0): Promise<void> {
  if (isEnding && exitCode === 0) return
  isEnding = true
  await finish()
  // What it has answered since its last heartbeat would otherwise be known to nobody.
  for (const { number } of worker?.shards.all ?? []) sendSeen(number)
  process.exit(exitCode)
}

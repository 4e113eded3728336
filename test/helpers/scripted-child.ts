// A child of the supervisor that behaves as its test says, to show the supervisor at work on real processes without
// the services that the real children need. The script comes with the configuration.
import { rmSync } from 'node:fs'

import type { FromChild, ToChild } from '../../core/ipc.ts'

/**
 * steady: becomes ready, beats, ends when it is drained or retired. The others differ from it so: stubborn ignores the drain; mute
 * is not heard again after it is ready; stillborn says why it can't work and ends; frail dies of a drain if the file
 * `flag` is there, and removes it; untidy says on the drain what it leaves; refused says
 * again and again that it waits for something that refuses it, and is never ready.
 */
export interface ChildScript {
  readonly behaviour: 'steady' | 'stubborn' | 'mute' | 'stillborn' | 'frail' | 'untidy' | 'refused'
  readonly flag?: string
}

const beatMs = 50
let script: ChildScript = { behaviour: 'steady' }

function say(message: FromChild): void {
  process.send?.(message)
}

function begin(): void {
  if (script.behaviour === 'stillborn') {
    say({ type: 'failed', code: 'HC_REDIS_UNAVAILABLE', message: 'nobody there' })
    process.exit(1)
  }
  if (script.behaviour === 'refused') {
    setInterval(() => say({ type: 'waiting', for: 'a service (NOPERM)', isRefused: true }), beatMs)
    return
  }
  say({ type: 'ready' })
  if (script.behaviour !== 'mute') setInterval(() => say({ type: 'heartbeat' }), beatMs)
}

function drain(): void {
  if (script.behaviour === 'stubborn') return
  if (script.behaviour === 'frail' && removed(script.flag ?? '')) process.kill(process.pid, 'SIGKILL')
  if (script.behaviour === 'untidy') say({ type: 'left', what: 'half of the work' })
  process.exit(script.behaviour === 'untidy' ? 1 : 0)
}

function removed(path: string): boolean {
  try {
    rmSync(path)
    return true
  } catch {
    return false // a child before this one has died of it
  }
}

process.on('message', (message: ToChild) => {
  if (message.type === 'start') {
    script = (message.config as unknown as { script: ChildScript }).script
    begin()
  } else if (message.type === 'metrics') say({ type: 'metrics', id: message.id, metrics: [] })
  else if (message.type === 'drain' || message.type === 'retire') drain()
})
say({ type: 'listening' })

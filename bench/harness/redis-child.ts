import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../core/free-port.ts'
import { askNode, type RedisSettings } from '../../core/redis/connection.ts'
import { stopChild } from './stop-child.ts'

const programs = ['redis-server', 'valkey-server']
const startMsMax = 60_000
const stopMsMax = 5_000
const pollMs = 20

export interface RedisChild {
  readonly settings: RedisSettings
  readonly pid: number
  /** Ends it, and removes its data. */
  stop(): Promise<void>
}

/**
 * A Redis for one benchmark, durable like the one of a server: every answer leaves after its fsync.
 * @param lines of its configuration, besides those
 */
export async function startRedisChild(lines: readonly string[] = []): Promise<RedisChild> {
  const folder = mkdtempSync(join(tmpdir(), 'hotcakes-bench-redis-'))
  const settings = { host: '127.0.0.1', port: await freePort(), user: '', password: '', tls: false }
  const configFile = join(folder, 'redis.conf')
  writeFileSync(configFile, configText(settings.port, folder, lines))
  let child: ChildProcess | undefined
  const end = (): void => {
    child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  // Whatever ends this process by itself, also an error that nobody caught, must not leave a server behind.
  process.once('exit', end)
  const stop = async (): Promise<void> => {
    if (child !== undefined) await stopChild(child, stopMsMax)
    end()
    process.off('exit', end)
  }
  try {
    child = await firstThatStarts(configFile)
    await whenAnswering(settings, child)
  } catch (error) {
    await stop()
    throw error
  }
  return { settings, pid: child.pid ?? 0, stop }
}

function configText(port: number, folder: string, lines: readonly string[]): string {
  return [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir ${JSON.stringify(folder)}`,
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    ...lines,
    '',
  ].join('\n')
}

async function firstThatStarts(configFile: string): Promise<ChildProcess> {
  for (const program of programs) {
    const child = spawn(program, [configFile], { stdio: 'ignore' })
    const started = await Promise.race([
      once(child, 'spawn').then(() => true),
      once(child, 'error').then(() => false), // not installed under this name
    ])
    if (started) return child
  }
  throw new Error(`neither ${programs.join(' nor ')} is installed`)
}

async function whenAnswering(settings: RedisSettings, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + startMsMax
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('Redis ended as it started')
    const isUp = await askNode(settings, settings, (redis) => redis.ping()).then(
      () => true,
      () => false,
    )
    if (isUp) return
    await delay(pollMs)
  }
  throw new Error(`Redis did not answer within ${startMsMax} ms`)
}

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { freePort } from '../../core/free-port.ts'
import { endsWithUs } from './ends-with-us.ts'
import { eventually } from './eventually.ts'
import { HttpClient } from './http-client.ts'
import { deadlineMs } from './http-worker.ts'
import type { Scope } from './scope.ts'
import { createFolder, removeFolder } from './scope.ts'

/** Beside the compiled helper, so that a build anywhere runs its own server. */
const primary = fileURLToPath(new URL('../../server/primary/main.js', import.meta.url))
/** Embedded services set themselves up first; on a busy machine that can take a while. */
const readyMsMax = 120_000
/** Above the shutdown deadline that clusters in tests have. */
const stopMsMax = 60_000

export interface ClusterExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The real server, all its processes, started as a user would start it. */
export interface Cluster {
  /** Without a slash at the end. */
  readonly baseUrl: string
  readonly metricsUrl: string
  readonly http: HttpClient
  readonly dataDir: string
  /** The environment it was started with: what a tool beside it, like the audit, needs as well. */
  readonly env: Readonly<Record<string, string>>
  /** The primary. */
  readonly pid: number
  /** What all its processes have logged so far, a line an entry. */
  logLines(): readonly string[]
  /** Resolves when the primary has ended, for whatever reason. */
  readonly exited: Promise<ClusterExit>
  /** SIGTERM, and waits for the end. */
  stop(): Promise<ClusterExit>
}

/**
 * Starts a cluster on free ports with a data folder of its own, and resolves when it is ready. Without DB_HOST and
 * REDIS_HOST in `env` it runs its embedded services.
 * @param options.dataDir of an earlier cluster, to go on with its data
 * @param options.gid the group that its processes run as: a packet filter tells them by it
 * @param options.detached in a process group of its own: a Ctrl+C on a terminal doesn't reach it
 * @param options.awaitReady `false` resolves at once: for a cluster that is meant not to start
 */
export async function startCluster(
  scope: Scope,
  options: {
    env?: Readonly<Record<string, string>>
    dataDir?: string
    awaitReady?: boolean
    gid?: number
    detached?: boolean
  } = {},
): Promise<Cluster> {
  const folder = createFolder()
  const dataDir = options.dataDir ?? join(folder, 'data')
  const port = await freePort()
  const env = {
    PATH: process.env['PATH'] ?? '',
    APP_HOST: '127.0.0.1',
    APP_PORT: String(port),
    APP_METRICS_PORT: String(await freePortBeside(port)),
    APP_DATA_DIR: dataDir,
    APP_WORKERS: '2',
    APP_DEADLINE_MS: deadlineMs,
    ...options.env,
  }
  // In a folder without a .env file: a developer's own settings must not change what is tested.
  const { gid, detached = false } = options
  const child = spawn(...endsWithUs('KILL', process.execPath, [primary]), {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached,
    ...(gid === undefined ? {} : { gid }),
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (log += text))
  const exited = new Promise<ClusterExit>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
    const end = await exited
    clearTimeout(late)
    return end
  }
  scope.after(async () => {
    await stop()
    removeFolder(folder)
  })

  const baseUrl = `http://127.0.0.1:${env.APP_PORT}`
  const http = new HttpClient(scope, { baseUrl })
  const cluster: Cluster = {
    baseUrl,
    metricsUrl: `http://127.0.0.1:${env.APP_METRICS_PORT}`,
    http,
    dataDir,
    env,
    pid: child.pid ?? 0,
    logLines: () => log.split('\n').filter((line) => line !== ''),
    exited,
    stop,
  }
  if (options.awaitReady !== false) await untilReady(cluster)
  return cluster
}

/** A port that was just given back is among those that may be given next. */
async function freePortBeside(port: number): Promise<number> {
  for (;;) {
    const other = await freePort()
    if (other !== port) return other
  }
}

/** It sells, with all its workers and from all its shards. */
async function isComplete(http: HttpClient): Promise<boolean> {
  const { status, json } = await http.get('/readyz')
  const checks = json?.['checks'] as { workers: { status: string }; shards?: { status: string } } | undefined
  const shards = checks?.shards?.status ?? 'complete' // where there is one nothing is said of shards
  return status === 200 && checks?.workers.status === 'complete' && shards === 'complete'
}

async function untilReady(cluster: Cluster): Promise<void> {
  const { http, exited } = cluster
  const end: { reason?: ClusterExit } = {}
  void exited.then((reason) => Object.assign(end, { reason }))
  try {
    const ready = async () => end.reason !== undefined || (await isComplete(http))
    await eventually(ready, { deadlineMs: readyMsMax, what: 'the cluster' })
  } catch (cause) {
    throw new Error(`the cluster is not ready:\n${cluster.logLines().slice(-40).join('\n')}`, { cause })
  }
  if (end.reason !== undefined) {
    throw new Error(
      `the cluster ended at start (${end.reason.code ?? end.reason.signal}):\n${cluster.logLines().join('\n')}`,
    )
  }
}

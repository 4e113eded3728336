import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { ClusterProcess, RedisCluster } from './redis-cluster.ts'
import type { Scope } from './scope.ts'
import type { ToolRun } from './tool.ts'

const tool = fileURLToPath(new URL('../../ops/tools/move-shard/main.js', import.meta.url))

export interface MoveRun {
  readonly pid: number
  /** What it has said so far. */
  said(): string
  readonly ended: Promise<ToolRun>
}

export interface MoveOptions {
  /** Of the server. */
  readonly env: Readonly<Record<string, string>>
  readonly cluster: Pick<RedisCluster, 'admin'>
  readonly shard: number
  readonly to: Pick<ClusterProcess, 'port'> & { readonly host?: string }
  readonly args?: readonly string[]
}

/** `npm run move-shard`, as an administrator of Redis; unless it has ended, it ends with the scope. */
export function startMove(scope: Scope, { env, cluster, shard, to, args = [] }: MoveOptions): MoveRun {
  const { user, password } = cluster.admin
  const where = ['--shard', String(shard), '--to', `${to.host ?? '127.0.0.1'}:${to.port}`]
  const child = spawn(process.execPath, [tool, ...where, ...args], {
    env: { ...env, NODE_OPTIONS: '', REDIS_USER: user, REDIS_PASSWORD: password },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  scope.after(() => void child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text))
  const ended = new Promise<ToolRun>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, ...output }))
  })
  return { pid: child.pid ?? 0, said: () => output.stderr, ended }
}

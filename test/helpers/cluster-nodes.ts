import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import type { Redis } from 'ioredis'

import { connectNode, type RedisSettings } from '../../core/redis/connection.ts'
import { setupUserName, startRedisService } from '../../ops/embedded/redis.ts'
import { newPassword, waiting } from './embedded-options.ts'
import { createFolder, removeFolder, type Scope } from './scope.ts'
import { chosenRedis } from './services.ts'
import { runTool, type ToolRun } from './tool.ts'

export const clusterTool = fileURLToPath(new URL('../../ops/tools/cluster/main.js', import.meta.url))

/** Of all nodes of a test, as an operator would give them. */
export interface NodePasswords {
  readonly service: string
  readonly admin: string
  readonly setup: string
}

export function newPasswords(): NodePasswords {
  return { service: newPassword(), admin: newPassword(), setup: newPassword() }
}

export interface ClusterNode {
  /** `127.0.0.1:7000` */
  readonly place: string
  /** As a user who may do everything. */
  readonly admin: RedisSettings
  readonly pid: number
  open(): Promise<Redis>
  stop(): Promise<void>
}

export interface NodeOptions {
  readonly passwords: NodePasswords
  /** With the data of a Redis before, and on its port. */
  readonly dataDir?: string
  readonly port?: number
  readonly lines?: readonly string[]
}

/** A Redis that could be a node of a cluster and is in none, as docs/OPERATING.md has it. Ends with the scope. */
export async function startClusterNode(scope: Scope, options: NodeOptions): Promise<ClusterNode> {
  const { passwords, port, lines = [] } = options
  const dataDir = options.dataDir ?? createFolder()
  const acl = readFileSync('ops/deploy/redis/cluster-users.acl', 'utf8')
  const replica = acl.split('\n').find((line) => line.startsWith('user hotcakes_replica ')) ?? ''
  const digest = createHash('sha256').update(passwords.setup).digest('hex')
  const { service } = await startRedisService({
    dataDir,
    password: passwords.service,
    adminPassword: passwords.admin,
    program: chosenRedis(),
    ...(port === undefined ? {} : { port }),
    node: { number: 0, setupPassword: passwords.setup, lastPorts: undefined },
    lines: [
      'repl-diskless-sync-delay 0',
      replica.replace('@HOTCAKES_REPLICA@', digest),
      'masteruser hotcakes_replica',
      `masterauth ${passwords.setup}`,
      ...lines,
    ],
    onLaunch: () => undefined,
    waiting,
  })
  scope.after(async () => {
    await service.stop()
    if (options.dataDir === undefined) removeFolder(dataDir)
  })
  const address = { host: '127.0.0.1', port: service.port }
  const admin = { ...address, user: 'default', password: passwords.admin, tls: false }
  return {
    place: `${address.host}:${address.port}`,
    admin,
    pid: service.pid,
    open: async () => {
      const redis = await connectNode(admin, address)
      scope.after(() => redis.disconnect())
      return redis
    },
    stop: () => service.stop(),
  }
}

/** `npm run cluster -- create`, as the user who may do that and nothing else. */
export async function createCluster(
  nodes: readonly { readonly place: string }[],
  { passwords, args = [] }: { readonly passwords: NodePasswords; readonly args?: readonly string[] },
): Promise<ToolRun> {
  const env = { REDIS_USER: setupUserName, REDIS_PASSWORD: passwords.setup }
  const places = nodes.map(({ place }) => place).join(',')
  return await runTool(clusterTool, env, ['create', '--nodes', places, '--wait-seconds', '0', ...args])
}

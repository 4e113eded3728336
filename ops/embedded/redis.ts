import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Fault } from '../../core/faults.ts'
import { freePort } from '../../core/free-port.ts'
import { redisMajorVersionMin } from '../../core/limits.ts'
import { embeddedNodeTimeoutMs } from '../limits.ts'
import type { EmbeddedRedis } from './facts.ts'
import { ownLauncher } from './launcher.ts'
import { writePrivateFile } from './private-file.ts'
import { redisAnswers } from './probes.ts'
import type { ProcessIdentity } from './process-identity.mjs'
import { EmbeddedService } from './service.ts'
import type { Waiting } from './waiting.ts'

const programs = ['redis-server', 'valkey-server']
/** The user of the service, see ops/deploy/redis/users.acl. */
const userName = 'hotcakes'
/** Who makes a cluster of the nodes, and may do nothing else. Its password is drawn for each start, and then forgotten. */
export const setupUserName = 'hotcakes_setup'

/** One of the nodes of a cluster. */
export interface NodePlan {
  /** From 0 on: the first one has the folder of a Redis alone, and so the data of a time without a cluster. */
  readonly number: number
  readonly setupPassword: string
  /** As of the last start: taken if they are free. */
  readonly lastPorts: { readonly port: number; readonly busPort: number } | undefined
}

export interface LaunchedRedis {
  readonly connection: EmbeddedRedis
  readonly process: ProcessIdentity
  /** Of a node of a cluster. */
  readonly busPort: number | undefined
}

let foundProgram: string | undefined

/** The first of the two programs that is installed. Looked for once: each node of a cluster would start one to ask it. */
function redisProgram(): string {
  foundProgram ??= findProgram()
  return foundProgram
}

function findProgram(): string {
  const tooOld: string[] = []
  for (const program of programs) {
    const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
    if (status !== 0) continue
    const version = /\bv=(\d+)\S*/.exec(stdout)
    if (Number(version?.[1]) >= redisMajorVersionMin) return program
    tooOld.push(`${program} ${version?.[0] ?? 'of an unknown version'}`)
  }
  const found = tooOld.length > 0 ? `${tooOld.join(', ')} is too old` : 'none is installed'
  throw new Fault(
    'HC_EMBEDDED_FAILED',
    `the embedded Redis needs redis-server >= ${redisMajorVersionMin} or valkey-server: ${found}. Install one, or set REDIS_HOST`,
  )
}

/**
 * The users: the service's with the rights that an external Redis would give it, and nobody else. Given anew at each
 * start, so they are never those of another version.
 */
function users(options: { password: string; adminPassword?: string | undefined; setupPassword?: string | undefined }) {
  const { password, adminPassword, setupPassword } = options
  const ours = userLine('users.acl', userName)
  // `off`, but with all rights: Redis replays its append-only file as this user. It would drop every transaction in
  // which a command is not granted, without a word.
  const isOn = adminPassword === undefined ? 'off' : `on #${sha256(adminPassword)}`
  const setup =
    setupPassword === undefined
      ? []
      : [userLine('cluster-users.acl', setupUserName).replace('@HOTCAKES_SETUP@', sha256(setupPassword))]
  return [ours.replace('@HOTCAKES@', sha256(password)), `user default ${isOn} ~* &* +@all`, ...setup]
}

function userLine(file: string, name: string): string {
  const acl = readFileSync(new URL(`../deploy/redis/${file}`, import.meta.url), 'utf8')
  return acl.split('\n').find((line) => line.startsWith(`user ${name} `)) ?? ''
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * The port of the bus is given, because the usual one (the port and 10,000) may not exist. Without a full coverage a master
 * that is away leaves the other shards alone.
 */
function clusterLines(busPort: number): string[] {
  return [
    'cluster-enabled yes',
    `cluster-config-file ${nodesFile}`,
    `cluster-port ${busPort}`,
    'cluster-announce-ip 127.0.0.1',
    'cluster-require-full-coverage no',
    `cluster-node-timeout ${embeddedNodeTimeoutMs}`,
  ]
}

/** The whole configuration is a file, because every user of the machine can read a command line. */
function configText(options: { port: number; users: readonly string[]; folder: string; lines: readonly string[] }) {
  return [
    'bind 127.0.0.1',
    `port ${options.port}`,
    ...options.users,
    `dir ${JSON.stringify(options.folder)}`,
    'daemonize no',
    'databases 1',
    // An answer leaves after its fsync: what a buyer was told survives anything but the loss of the disk. No snapshots:
    // they would only repeat the append-only file. No evictions: they would forget a sale.
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    // A busy sale appends several MB a second. Rewriting at 256 MB, then at each doubling, keeps the replay at the next
    // start within seconds and costs one short fork a minute at the very most.
    'auto-aof-rewrite-percentage 100',
    'auto-aof-rewrite-min-size 256mb',
    // A sale's hashes can hold a million fields; freeing them on the main thread would stop everybody for as long.
    'lazyfree-lazy-expire yes',
    'lazyfree-lazy-user-del yes',
    ...options.lines,
    '',
  ].join('\n')
}

/** What a node knows of its cluster is in this file of its folder: where it is, there is a cluster. */
export const nodesFile = 'nodes.conf'

/** Of the data below the data folder, and of the log beside it: `redis`, `redis-1`, `redis-2`. */
export function redisName(number: number): string {
  return number === 0 ? 'redis' : `redis-${number}`
}

interface RedisPlan {
  readonly dataDir: string
  readonly password: string
  /** Of Redis' user `default`, who may do everything; without one there is no such user. */
  readonly adminPassword?: string
  /** Another server than the one that is installed. */
  readonly program?: string | undefined
  readonly port?: number
  /** Absent: there is no cluster. */
  readonly node?: NodePlan
  /** Of the configuration, besides ours. */
  readonly lines?: readonly string[]
  readonly onLaunch: (launched: LaunchedRedis) => void
  readonly waiting: Waiting
}

/** Starts Redis with its data in a folder below `dataDir`. @throws Fault HC_EMBEDDED_FAILED */
export async function startRedisService(
  options: RedisPlan,
): Promise<{ service: EmbeddedService; connection: EmbeddedRedis; busPort: number | undefined }> {
  const { dataDir, password, adminPassword, node, lines = [] } = options
  const name = redisName(node?.number ?? 0)
  const folder = join(dataDir, name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const program = options.program ?? redisProgram()
  const configFile = join(folder, 'redis.conf')
  const connectionTo = (port: number): EmbeddedRedis => ({
    host: '127.0.0.1',
    port,
    user: userName,
    password,
    tls: false,
  })

  let busPort: number | undefined
  const service = await EmbeddedService.start({
    name: node === undefined ? 'embedded Redis' : `embedded Redis node ${node.number}`,
    launcher: ownLauncher,
    port: options.port,
    preferredPort: node?.lastPorts?.port,
    command: async (port) => {
      busPort = node === undefined ? undefined : await freePort(node.lastPorts?.busPort)
      const cluster = busPort === undefined ? [] : clusterLines(busPort)
      const allowed = users({ password, adminPassword, setupPassword: node?.setupPassword })
      writePrivateFile(configFile, configText({ port, users: allowed, folder, lines: [...cluster, ...lines] }))
      return [program, configFile]
    },
    answers: (port) => redisAnswers({ port, user: userName, password }),
    deathSignal: 'TERM',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    logFile: join(dataDir, `${name}.log`),
    onLaunch: ({ identity, port }) => options.onLaunch({ connection: connectionTo(port), process: identity, busPort }),
    waiting: options.waiting,
  })
  return { service, connection: connectionTo(service.port), busPort }
}

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Fault } from '../../core/faults.ts'
import { redisMajorVersionMin } from '../../core/limits.ts'
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

/** The first of the two programs that is installed. */
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
function users({ password, adminPassword }: { password: string; adminPassword: string | undefined }): string[] {
  const acl = readFileSync(new URL('../deploy/redis/users.acl', import.meta.url), 'utf8')
  const ours = acl.split('\n').find((line) => line.startsWith(`user ${userName} `)) ?? ''
  // `off`, but with all rights: Redis replays its append-only file as this user. It would drop every transaction in
  // which a command is not granted, without a word.
  const isOn = adminPassword === undefined ? 'off' : `on #${sha256(adminPassword)}`
  return [ours.replace('@HOTCAKES@', sha256(password)), `user default ${isOn} ~* &* +@all`]
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The whole configuration is a file, because every user of the machine can read a command line. */
function configText(options: { port: number; users: readonly string[]; folder: string }): string {
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
    '',
  ].join('\n')
}

/**
 * Starts Redis with its data in `<dataDir>/redis`.
 * @param options.adminPassword of Redis' user `default`, who may do everything; without one there is no such user
 * @param options.program another server than the one that is installed
 * @throws Fault HC_EMBEDDED_FAILED
 */
export async function startRedisService(options: {
  dataDir: string
  password: string
  adminPassword?: string
  program?: string | undefined
  port?: number
  onLaunch: (connection: EmbeddedRedis, process: ProcessIdentity) => void
  waiting: Waiting
}): Promise<{ service: EmbeddedService; connection: EmbeddedRedis }> {
  const { dataDir, password } = options
  const folder = join(dataDir, 'redis')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const program = options.program ?? findProgram()
  const configFile = join(folder, 'redis.conf')
  const connectionTo = (port: number): EmbeddedRedis => ({
    host: '127.0.0.1',
    port,
    user: userName,
    password,
    tls: false,
  })

  const service = await EmbeddedService.start({
    name: 'embedded Redis',
    launcher: ownLauncher,
    port: options.port,
    command: (port) => {
      writePrivateFile(
        configFile,
        configText({ port, users: users({ password, adminPassword: options.adminPassword }), folder }),
      )
      return [program, configFile]
    },
    answers: (port) => redisAnswers({ port, user: userName, password }),
    deathSignal: 'TERM',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    logFile: join(dataDir, 'redis.log'),
    onLaunch: ({ identity, port }) => options.onLaunch(connectionTo(port), identity),
    waiting: options.waiting,
  })
  return { service, connection: connectionTo(service.port) }
}

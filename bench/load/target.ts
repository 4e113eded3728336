import { pidsBelow, roleOf } from '../harness/process-cpu.ts'
import { type Programs, programsOf } from '../harness/programs.ts'
import { runProgram, startHotcakes } from '../harness/server-under-test.ts'
import type { AuditResult, ServerPlacement } from '../report/report.ts'
import type { Disturbed } from './disturbances.ts'
import type { Settings } from './settings.ts'

export interface AuditPlace {
  readonly env: NodeJS.ProcessEnv
  /** With the .env file, if there is one. */
  readonly cwd: string
  /** The audit of the server's version; default: this one's. */
  readonly program?: string
}

/** The server that is loaded: one of our own, or one that runs already. */
export interface Target {
  readonly url: string
  readonly placement: ServerPlacement
  /** The primary, when its processes can be looked at. */
  readonly pid: number | undefined
  /** Where the audit finds the server's data. */
  readonly auditIn: AuditPlace | undefined
  /** Of our own. */
  readonly disturbed?: Disturbed
  stop(): Promise<void>
  abort(): Promise<void>
}

export interface RunningServerOptions {
  readonly url: string
  readonly pid: number | undefined
  readonly audit: boolean
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])
const nothing = (): Promise<void> => Promise.resolve()

/** A server that somebody else started, and will stop. */
export function runningTarget({ url, pid, audit }: RunningServerOptions): Target {
  return {
    url,
    placement: {
      kind: 'running',
      sharesMachine: loopback.has(new URL(url).hostname) ? true : undefined,
      env: {},
    },
    pid,
    auditIn: audit ? { env: process.env, cwd: process.cwd() } : undefined,
    stop: nothing,
    abort: nothing,
  }
}

export interface OwnServerOptions {
  readonly settings: Settings
  readonly programs: Programs
  readonly env: Readonly<Record<string, string>>
  readonly execArgv: readonly string[]
  /** Folder below which its data goes; `undefined`: the system's for temporary files. */
  readonly dataFolder: string | undefined
}

/** A fresh server on the embedded default. Ctrl+C in the terminal does not reach it: the caller stops it. */
export async function startTarget(options: OwnServerOptions): Promise<Target> {
  const { settings, programs, env, execArgv, dataFolder } = options
  const { items, userLimit, hold, interval, httpWorkers } = settings
  const given = {
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: String(userLimit),
    APP_HOLD_SECONDS: String(hold),
    APP_SALE_INTERVAL_SECONDS: String(interval),
    APP_WORKERS: String(httpWorkers),
    ...env,
  }
  const server = await startHotcakes(given, {
    execArgv,
    program: programs.server,
    detached: true,
    ...(dataFolder !== undefined && { dataFolder }),
  })
  return {
    url: server.url,
    placement: { kind: 'own', sharesMachine: true, env },
    pid: server.pid,
    auditIn: { env: server.env, cwd: server.cwd, program: programs.audit },
    disturbed: {
      reload: async () => (await runProgram(programs.reload, [], server)).exitCode === 0,
      killPersister: () => {
        for (const pid of pidsBelow(server.pid, roleOf, 'persister')) process.kill(pid, 'SIGKILL')
      },
    },
    stop: () => server.stop(),
    abort: () => server.abort(),
  }
}

/** Runs `npm run audit`'s program in that environment. Never rejects. */
export async function auditVerdict(place: AuditPlace): Promise<AuditResult> {
  const { stdout } = await runProgram(place.program ?? programsOf().audit, ['--json'], place)
  try {
    const report = JSON.parse(stdout) as {
      verdict: AuditResult['verdict']
      attempts?: number | null
      checks?: readonly { holds: string; breaches: number }[]
    }
    const breaches = (report.checks ?? []).filter(({ breaches: found }) => found > 0)
    return {
      verdict: report.verdict,
      ...(typeof report.attempts === 'number' && { attempts: report.attempts }),
      ...(breaches.length > 0 && { breaches: breaches.map(({ holds, breaches: found }) => `${holds} (${found})`) }),
    }
  } catch {
    return { verdict: 'failed' } // it said why on stderr
  }
}

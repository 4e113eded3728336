import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

import { type Config, loadConfig } from '../../core/config/load.ts'
import type { FromChild, ToChild } from '../../core/ipc.ts'
import type { EmbeddedPostgres, EmbeddedRedis } from '../../ops/embedded/facts.ts'
import type { DrainStep } from '../../workers/drain-steps.ts'
import { dieAtEnv } from './die-at.ts'
import { eventually } from './eventually.ts'
import type { Scope } from './scope.ts'
import { servicesEnv } from './services.ts'

const program = fileURLToPath(new URL('../../workers/persister-main.js', import.meta.url))
const programThatDies = fileURLToPath(new URL('./persister-that-dies.js', import.meta.url))

/** Far above what any test leaves in the log. */
const drainMsMax = 60_000

export interface PersisterExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface LogLine {
  readonly level: string
  readonly code?: string
  readonly shard?: number
  readonly msg: string
  /** Of a line of the level debug. */
  readonly from?: string
  readonly to?: string
  readonly why?: string
}

/** A persister process of a test's own, which plays its primary. */
export interface TestPersister {
  readonly pid: number
  readonly exited: Promise<PersisterExit>
  /** Everything it has said so far over the channel. */
  readonly messages: readonly FromChild[]
  logLines(): LogLine[]
  send(message: ToChild): void
  /** Asks it to drain, and waits for its end: its own, or SIGKILL when it is late. */
  drain(): Promise<PersisterExit>
  kill(): void
  /** The primary dies: the channel closes. */
  disconnect(): void
}

interface StartOptions {
  readonly db: EmbeddedPostgres
  readonly redis: EmbeddedRedis
  readonly dieAt?: DrainStep
  readonly logLevel?: 'debug' | 'info'
  readonly shardCount?: number
  /** Another one than that of this version. */
  readonly program?: string
}

/** Forks one, as the primary would; resolves when it says that it is ready. */
export async function startPersister(scope: Scope, options: StartOptions): Promise<TestPersister> {
  const ours = options.dieAt === undefined ? program : programThatDies
  const child = fork(options.program ?? ours, [], {
    env: { PATH: process.env['PATH'], ...(options.dieAt && dieAtEnv(options.dieAt)) },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const messages: FromChild[] = []
  child.on('message', (message) => messages.push(message as FromChild))
  let log = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (log += text))
  const send = (message: ToChild) => void child.send(message, () => undefined) // one that has just ended gets nothing
  const exited = untilExited(child)
  scope.after(async () => {
    child.kill('SIGKILL')
    await exited
  })

  await eventually(() => messages.some(({ type }) => type === 'listening'), { what: 'the persister listening' })
  send({ type: 'start', config: persisterConfig(options) })
  await eventually(() => messages.some(({ type }) => type === 'ready'), { what: 'the persister ready' })
  return {
    pid: child.pid ?? 0,
    exited,
    messages,
    logLines: () => wholeLines(log).flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : [])),
    send,
    drain: async () => {
      send({ type: 'drain' })
      const late = setTimeout(() => child.kill('SIGKILL'), drainMsMax)
      const exit = await exited
      clearTimeout(late)
      return exit
    },
    kill: () => void child.kill('SIGKILL'),
    disconnect: () => child.disconnect(),
  }
}

function persisterConfig({ logLevel = 'info', shardCount = 1, ...services }: StartOptions): Config {
  return { ...loadConfig({ env: { ...servicesEnv(services), LOG_LEVEL: logLevel } }), shardCount }
}

/** Without the beginning of one whose end is still to come. */
function wholeLines(log: string): string[] {
  return log.split('\n').slice(0, -1)
}

/** Its end, and all that it had to say. Not 'close': that never comes when it was us who closed the channel. */
async function untilExited(child: ChildProcess): Promise<PersisterExit> {
  const [[code, signal]] = await Promise.all([once(child, 'exit'), once(child.stdout as Readable, 'close')])
  return { code: code as number | null, signal: signal as NodeJS.Signals | null }
}

// `npm run reload`: has the running server replace its HTTP workers by new ones, with the code that was just built and
// the settings of now. Sending SIGHUP to the primary does the same; this also waits and tells how it went.

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

import { type Command, type Options, runCommand } from '../../../core/command-line.mjs'
import { localUrl } from '../../../core/config/listen-hosts.ts'
import { loadConfig } from '../../../core/config/load.ts'
import { getText } from '../../../core/get-text.ts'
import { reloadPollMs, waitSayMs } from '../../../core/limits.ts'
import { reloadProbeMsMax, reloadWaitMsMax } from '../../limits.ts'
import { textWithoutCode } from '../failure-text.ts'

const reloadCommand = {
  name: 'npm run reload',
  purpose: `Builds, then replaces the HTTP workers of the server on this machine one by one: no request is refused or left
    unanswered. New workers run the new code, with the settings of the environment that the server was started in and of
    .env as they stand now: those of which npm start -- --help says that a reload takes them. The primary and the persister
    go on with theirs. The server is found by its metrics port (APP_METRICS_HOST, APP_METRICS_PORT).`,
  options: {},
  exits: {
    0: 'every worker was replaced',
    1: `not reloaded, or not within ${reloadWaitMsMax / 1_000} s: wrong settings or arguments, or the server's log says why; it goes on with its old workers`,
  },
  usageStatus: 1,
} satisfies Command<Options>

/** What of a scrape is needed here. */
interface ServerState {
  readonly primaryPid: number
  readonly done: number
  readonly failed: number
}

process.exitCode = await runCommand(reloadCommand, process.argv.slice(2), async () => {
  try {
    process.stdout.write(`${await reload()}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`hotcakes reload: ${textWithoutCode(error)}\n`)
    return 1
  }
})

/** @returns what was done, in a sentence. @throws Error with a sentence */
async function reload(): Promise<string> {
  const { app } = loadConfig({ env: process.env, dotenvFile: '.env' })
  const url = `${localUrl(app.metricsHost, app.metricsPort)}/metrics`
  const before = await look(url)
  assertIsPrimary(before.primaryPid)
  const startedMs = performance.now()
  process.kill(before.primaryPid, 'SIGHUP')
  const waiting = `hotcakes reload: waiting for process ${before.primaryPid} to replace its workers\n`
  setTimeout(() => process.stderr.write(waiting), waitSayMs).unref()
  while (performance.now() - startedMs < reloadWaitMsMax) {
    await delay(reloadPollMs)
    const now = await lookAgain(url, before.primaryPid)
    if (now === undefined) continue
    if (now.primaryPid !== before.primaryPid) throw new Error('the server was restarted meanwhile')
    if (now.failed > before.failed) throw new Error('the reload failed: the log of the server says why')
    if (now.done > before.done) return `reloaded in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`
  }
  throw new Error(`not done after ${reloadWaitMsMax / 1_000} s: the log of the server says what it waits for`)
}

/** `undefined`: it didn't answer in time. A server that is busy with starting workers is no server that is gone. */
async function lookAgain(url: string, pid: number): Promise<ServerState | undefined> {
  try {
    return await look(url)
  } catch (error) {
    if (readCommand(pid) === '') throw error
    return undefined
  }
}

async function look(url: string): Promise<ServerState> {
  const { text } = await getText(url, reloadProbeMsMax).catch((cause: unknown) => {
    throw new Error(`no server answers at ${url}`, { cause })
  })
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN)
  const state = {
    primaryPid: number(
      /^hotcakes_process_(?:pid\{process="primary",number="1"\} |resident_memory_bytes\{process="primary",pid=")(\d+)/m,
    ),
    done: number(/^hotcakes_reloads_total\{result="done"\} (\d+)$/m),
    failed: number(/^hotcakes_reloads_total\{result="failed"\} (\d+)$/m),
  }
  if (Object.values(state).some(Number.isNaN)) throw new Error(`${url} is not this version of hotcakes`)
  return state
}

/** The pid is that of the primary's own namespace: in a container it means somebody else here. */
function assertIsPrimary(pid: number): void {
  if (/server\/primary(-main|\/main)\.js|setup\/start\.mjs/.test(readCommand(pid))) return
  throw new Error(`process ${pid} of this machine is not the server: send SIGHUP where it runs`)
}

function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return '' // no such process
  }
}

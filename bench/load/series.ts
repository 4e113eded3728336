import { join } from 'node:path'
import { checkedOutCommit } from '../harness/machine.ts'
import { type Programs, programsOf } from '../harness/programs.ts'
import { benchedMachine } from '../report/machine.ts'
import {
  type FloorRates,
  isValid,
  type Report,
  type ReportHead,
  type Run,
  reportFormat,
  reportVersion,
} from '../report/report.ts'
import { aftermathText, loadText } from '../report/run-text.ts'
import { reportName, reportsFolder, writeReport } from '../report/store.ts'
import type { Request } from './command.ts'
import { ErrorFile } from './error-file.ts'
import type { Interruption } from './interruption.ts'
import { Progress } from './progress.ts'
import { runOnce } from './run.ts'
import type { Scenario } from './scenarios.ts'
import { floorSettings, sellOutFloor } from './sell-out-floor.ts'
import { formatMix } from './settings.ts'
import { runningTarget, startTarget, type Target } from './target.ts'

/** What may be done around a run, by whoever wants more than its report. */
export interface Around {
  /** Node options for the server and its children. */
  readonly execArgv?: readonly string[]
  readonly onStart?: (target: Target) => void
  readonly onEnd?: (target: Target) => void
}

export interface WrittenReport {
  readonly file: string
  readonly report: Report
}

/**
 * Runs every scenario as often as asked for, all of them in turn, and writes a report of each after each run.
 * @throws what keeps a run from being run, or AbortError on the second Ctrl+C
 */
export async function runAll(
  request: Request,
  interruption: Interruption,
  around: Around = {},
): Promise<WrittenReport[]> {
  const builds = buildsOf(request)
  const series = request.scenarios.flatMap((scenario) => builds.map((build) => new Series(scenario, request, build)))
  for (let repeat = 1; repeat <= request.repeat; repeat++) {
    // Of two builds the other one begins.
    for (const one of repeat % 2 === 1 ? series : series.toReversed()) {
      if (interruption.stop.aborted) continue
      await one.run(repeat, interruption, around)
    }
  }
  return series.flatMap(({ written }) => written ?? [])
}

/** What a fresh server is of. */
interface Build {
  readonly programs: Programs
  /** Of its reports. */
  readonly label: string | undefined
  /** undefined: this one's. */
  readonly commit?: string
}

/** @throws UsageError when there is no built checkout beside */
function buildsOf({ beside, label }: Request): Build[] {
  const own = { programs: programsOf(), label }
  if (beside === undefined) return [own]
  const besideLabel = label === undefined ? 'beside' : `${label}-beside`
  return [own, { programs: programsOf(beside), label: besideLabel, commit: checkedOutCommit(beside) }]
}

/** The runs of one scenario and one build. */
class Series {
  written: WrittenReport | undefined
  readonly #scenario: Scenario
  readonly #request: Request
  readonly #build: Build
  readonly #folder: string
  readonly #runs: Run[] = []
  #head: ReportHead | undefined
  #errors: ErrorFile | undefined

  constructor(scenario: Scenario, request: Request, build: Build) {
    this.#scenario = scenario
    this.#request = request
    this.#build = build
    this.#folder = request.out ?? reportsFolder()
  }

  async run(repeat: number, interruption: Interruption, around: Around): Promise<void> {
    const { name, settings } = this.#scenario
    const title = this.#request.repeat > 1 ? `${name} ${repeat}/${this.#request.repeat}` : name
    const progress = new Progress(title, settings)
    const head = (this.#head ??= this.#newHead())
    const floor = await this.#floor(title, interruption)
    if (interruption.stop.aborted) return
    if (this.#request.url === undefined) progress.say('starting a server')
    const target = await this.#target(around)
    let isOver = false
    try {
      progress.end()
      this.#print(this.#title(title, target))
      const run = await runOnce({
        settings,
        target,
        floor,
        fileSystem: this.#request.url === undefined ? head.machine.fileSystem : undefined,
        cores: head.machine.cores,
        stop: interruption.stop,
        abort: interruption.abort,
        onSecond: (second) => {
          progress.add(second)
          this.#errorFile(head).add(repeat, second.samples)
        },
        onLoaded: (loaded) => {
          progress.end()
          this.#print(`${loadText(loaded, settings)}\n`)
          progress.say('waiting for the log to drain, then auditing')
        },
        ...(around.onStart && { onStart: () => around.onStart?.(target) }),
        ...(around.onEnd && { onEnd: () => around.onEnd?.(target) }),
      })
      progress.end()
      this.#keep(head, run, target)
      this.#print(aftermathText(run))
      this.#printFiles(repeat, run)
      isOver = true
    } finally {
      progress.end()
      await (isOver || !interruption.abort.aborted ? target.stop() : target.abort())
    }
  }

  /** Before the server is there: neither takes anything from the other. */
  async #floor(title: string, { stop, abort }: Interruption): Promise<FloorRates | undefined> {
    const { hasFloor = false, settings: ofRun } = this.#scenario
    if (!hasFloor || !this.#request.floor || ofRun.rate > 0) return undefined
    const settings = floorSettings(ofRun)
    const progress = new Progress(`${title}, a bare handler`, settings)
    try {
      const rates = await sellOutFloor({ settings, stop, abort, onSecond: (second) => progress.add(second) })
      progress.end()
      if (rates === undefined && !stop.aborted)
        this.#print(`a bare handler did not sell its stock in ${settings.seconds} s: there is no share of its rate\n`)
      return rates
    } finally {
      progress.end()
    }
  }

  #newHead(): ReportHead {
    const { dataFolder } = this.#request
    const { label, commit } = this.#build
    const machine = benchedMachine(dataFolder)
    return {
      format: reportFormat,
      version: reportVersion,
      scenario: this.#scenario.name,
      ...(label !== undefined && { label }),
      startedAt: new Date().toISOString(),
      settings: this.#scenario.settings,
      machine: commit === undefined ? machine : { ...machine, commit },
    }
  }

  #target(around: Around): Promise<Target> {
    const { url, serverPid, audit, env, dataFolder } = this.#request
    if (url !== undefined) return Promise.resolve(runningTarget({ url, pid: serverPid, audit }))
    const { programs } = this.#build
    return startTarget({
      settings: this.#scenario.settings,
      programs,
      env,
      execArgv: around.execArgv ?? [],
      dataFolder,
    })
  }

  #errorFile(head: ReportHead): ErrorFile {
    return (this.#errors ??= new ErrorFile(join(this.#folder, `${reportName(head)}.errors.ndjson`)))
  }

  #keep(head: ReportHead, run: Run, target: Target): void {
    this.#runs.push(run)
    const report: Report = { ...head, server: target.placement, runs: this.#runs }
    this.written = { file: writeReport(this.#folder, report), report }
  }

  #title(title: string, { placement }: Target): string {
    const { settings, summary } = this.#scenario
    const load = settings.rate === 0 ? 'closed loop' : `open loop at ${settings.rate}/s`
    const { commit } = this.#build
    const version = commit === undefined ? '' : ` of the version beside (${commit})`
    const where = placement.kind === 'own' ? `a fresh server${version} on this machine` : 'a running server'
    return (
      `\n${title}: ${summary}\n` +
      `${where}; ${load}, ${settings.connections} connections, ${settings.generators} generator process${settings.generators > 1 ? 'es' : ''}, ` +
      `${settings.seconds} s after ${settings.warmup} s warm-up; mix ${formatMix(settings.mix)}${settings.copies > 1 ? `, each request sent ${settings.copies} times` : ''}\n\n`
    )
  }

  #printFiles(repeat: number, run: Run): void {
    this.#errors?.addCounts(repeat, run.tally)
    if (this.#errors !== undefined && !this.#errors.isEmpty)
      this.#print(`errors:   ${this.#errors.path} (samples of each kind, and counts)\n`)
    this.#print(`report:   ${this.written?.file}\n`)
    if (!isValid(run)) this.#print('\nThis run is not a result.\n')
  }

  #print(text: string): void {
    if (!this.#request.json) process.stdout.write(text)
  }
}

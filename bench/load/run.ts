import { type Evidence, notesOn, problemsOf } from '../report/judgement.ts'
import type { AuditResult, FloorRates, Run } from '../report/report.ts'
import { sellOutOf } from '../report/sell-out.ts'
import { answered } from '../report/tally.ts'
import { Crew, type CrewResult, monotonicMs } from './crew.ts'
import { Disturbances } from './disturbances.ts'
import type { Second } from './generator-process.ts'
import { Measurement } from './measurement.ts'
import { SaleWatch } from './sale-watch.ts'
import { askLog, askSale, drained } from './server-view.ts'
import type { Settings } from './settings.ts'
import { auditVerdict, type Target } from './target.ts'
import { UseWatch } from './use-watch.ts'

export interface RunOptions {
  readonly settings: Settings
  readonly target: Target
  /** What the same buyers reach against a bare handler; `undefined`: that was not measured. */
  readonly floor?: FloorRates | undefined
  /** Under the server's data; `undefined`: not known. */
  readonly fileSystem: string | undefined
  /** Of this machine. */
  readonly cores: number
  /** Ends the load and goes on with the rest. */
  readonly stop: AbortSignal
  /** Ends everything at once. */
  readonly abort: AbortSignal
  readonly onSecond: (second: Second, measurement: Measurement) => void
  /** The load is over: what was counted, before the log is drained and audited. */
  readonly onLoaded: (loaded: Loaded) => void
  /** In the measurement's first moment and right after its last. */
  readonly onStart?: () => void
  readonly onEnd?: () => void
}

/** What the load alone says. */
export type Loaded = Omit<Run, 'audit' | 'problems' | 'notes' | 'missing'>

/** Longest wait for the log to drain. */
const drainMsMax = 300_000

/** One run of a scenario: load, drain, audit, judgement. @throws what keeps it from being run at all */
export async function runOnce(options: RunOptions): Promise<Run> {
  const { settings, target, abort } = options
  const { loaded, crewResult, saleChanges } = await load(options)
  options.onLoaded(loaded)

  const drainSeconds = await drained(target.url, drainMsMax, abort)
  const sale = await askSale(target.url).catch(() => undefined) // a result without it is one as well
  abort.throwIfAborted()
  const audit = target.auditIn && (await auditVerdict(target.auditIn))
  abort.throwIfAborted()

  const evidence: Evidence = {
    ...loaded,
    settings,
    isOwnServer: target.placement.kind === 'own',
    audit,
    drainSeconds,
    generatorCpuSeconds: crewResult.cpuSeconds,
    usedUpSecond: crewResult.usedUpSecond,
    saleChanges,
    fileSystem: options.fileSystem,
    others: loaded.others,
    cores: options.cores,
  }
  const counts = sale && { items: sale.items, held: sale.held, sold: sale.sold }
  const { lastPurchase } = crewResult
  const soldOut = sellOutOf({ sale: counts, lastPurchase, timeline: loaded.timeline, floor: options.floor })
  return {
    ...loaded,
    ...(soldOut && { sellOut: soldOut }),
    ...(loaded.log && { log: { ...loaded.log, ...(drainSeconds !== undefined && { drainSeconds }) } }),
    ...(audit && { audit }),
    ...(counts && { sale: counts }),
    problems: problemsOf(evidence),
    notes: notesOn(evidence),
    missing: missing(loaded, audit),
  }
}

export type LoadOptions = Pick<RunOptions, 'settings' | 'stop' | 'abort' | 'onSecond' | 'onStart' | 'onEnd'> & {
  readonly target: Pick<Target, 'url' | 'pid' | 'disturbed'>
}

/** The load alone. @throws what keeps it from being run at all */
export async function load(options: LoadOptions) {
  const { settings, target, stop, abort, onSecond } = options
  const measurement = new Measurement()
  const sale = await askSale(target.url)
  const crew = await Crew.start({
    settings,
    url: target.url,
    sale,
    onSecond: (second) => {
      measurement.add(second)
      onSecond(second, measurement)
    },
  })
  let stoppedMs: number | undefined
  const stopCrew = (): void => {
    stoppedMs ??= monotonicMs()
    crew.stop()
  }
  const kill = (): void => crew.kill()
  stop.addEventListener('abort', stopCrew)
  abort.addEventListener('abort', kill)
  if (stop.aborted) stopCrew()
  const watch = new SaleWatch(target.url, sale, (changed) => crew.openSale(changed))
  const startedAt = new Date(Date.now() + crew.startMs - monotonicMs()).toISOString()
  const use = new UseWatch(target.pid)
  const { disturbed: server } = target
  const disturbances = server && new Disturbances({ server, settings, before: () => use.look() })
  const timers = [
    setTimeout(() => {
      use.start()
      disturbances?.start()
      options.onStart?.()
    }, crew.startMs - monotonicMs()),
    setTimeout(() => use.end(), crew.endMs - monotonicMs()),
  ]
  try {
    const crewResult = await crew.result(settings.timeout * 1_000)
    use.end()
    const disturbed = (await disturbances?.end()) ?? []
    options.onEnd?.()
    const log = await askLog(target.url).catch(() => undefined) // a server that died is found out by the audit
    const endedMs = Math.min(crew.endMs, stoppedMs ?? Infinity)
    const seconds = Math.max(0, (endedMs - crew.startMs) / 1_000)
    const loaded: Loaded = {
      startedAt,
      seconds,
      interrupted: stoppedMs !== undefined,
      ...countsOf(measurement, seconds, settings),
      ...latenciesOf(crewResult, settings),
      ...useOf(use, crewResult),
      ...(disturbed.length > 0 && { disturbances: disturbed }),
      ...crewResult.besides,
      ...(log && { log }),
    }
    return { loaded, crewResult, saleChanges: watch.changes }
  } finally {
    for (const timer of timers) clearTimeout(timer)
    void disturbances?.end()
    use.end()
    watch.close()
    stop.removeEventListener('abort', stopCrew)
    abort.removeEventListener('abort', kill)
  }
}

function countsOf(measurement: Measurement, seconds: number, { rate }: Settings) {
  const { warmup, tally, tail } = measurement
  return {
    tally,
    warmup,
    tail,
    offeredPerSecond: rate > 0 ? rate : tally.sent / Math.max(seconds, 1e-3),
    achievedPerSecond: answered(tally) / Math.max(seconds, 1e-3),
    timeline: measurement.timeline(Math.floor(seconds + 1e-6)),
  }
}

function latenciesOf({ neverSent, latency, uncorrected }: CrewResult, { rate }: Settings) {
  const latencyFrom: Run['latencyFrom'] = rate > 0 ? 'due' : 'sent'
  return { neverSent, latencyFrom, latency, ...(rate > 0 && { uncorrected }) }
}

function useOf(watch: UseWatch, { cpuSeconds, peakBytes }: CrewResult) {
  const use = watch.byRole()
  const others = watch.others(cpuSeconds)
  const { holdings } = watch
  return {
    ...(use && { use }),
    ...(holdings.length > 0 && { holdings }),
    ...(others && { others }),
    generator: { cpuSeconds, peakBytes },
  }
}

function missing({ use, log }: Loaded, audit: AuditResult | undefined): string[] {
  const sentences: string[] = []
  if (use === undefined) sentences.push('CPU and memory of the server: its processes are not known; see --server-pid')
  if (audit === undefined)
    sentences.push('the audit: a running server is audited with --audit, in an environment with its settings')
  if (log === undefined) sentences.push('the state of the log: the server did not tell')
  return sentences
}

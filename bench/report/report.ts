import type { AuditVerdict } from '../../core/audit-verdict.ts'
import type { Settings } from '../load/settings.ts'
import type { LatencySummary } from './latencies.ts'
import type { LoadOperation } from './load-operation.ts'
import type { BenchedMachine } from './machine.ts'
import type { Tally } from './tally.ts'

export const reportFormat = 'hotcakes load report'
export const reportVersion = 1

/** What is known before the first run. */
export type ReportHead = Omit<Report, 'server' | 'runs'>

/** One scenario's runs under the same settings on the same machine: a file under bench/reports/. */
export interface Report {
  readonly format: typeof reportFormat
  readonly version: typeof reportVersion
  readonly scenario: string
  /** What the person who ran it called it. */
  readonly label?: string
  readonly startedAt: string
  readonly settings: Settings
  readonly server: ServerPlacement
  readonly machine: BenchedMachine
  readonly runs: readonly Run[]
}

export interface ServerPlacement {
  /** own: started for the run, on empty data; running: somebody else's. */
  readonly kind: 'own' | 'running'
  /** Whether generator and server shared a machine, as far as one can see. */
  readonly sharesMachine: boolean | undefined
  /** Settings that the server was given on top. */
  readonly env: Readonly<Record<string, string>>
}

/** A column for each number, an element for each second of the measurement. */
export interface Timeline {
  readonly answered: readonly number[]
  readonly holds: readonly number[]
  readonly purchases: readonly number[]
  readonly rejected: readonly number[]
  /** 5xx, timeouts and lost connections. */
  readonly failed: readonly number[]
  readonly p50Us: readonly number[]
  readonly p99Us: readonly number[]
  readonly maxUs: readonly number[]
}

export interface RoleUse {
  /** In the measurement. */
  readonly cpuSeconds: number
  readonly processes: number
  /** Sum over the processes of each one's largest resident set; pages they share are counted in each. */
  readonly peakBytes: number
}

/** What the processes of each role held together at one moment. */
export interface Holding {
  /** Since the measurement's start. */
  readonly second: number
  readonly byRole: Readonly<
    Record<string, { readonly processes: number; readonly residentBytes: number; readonly descriptors: number }>
  >
}

/** What was done to the server in the middle of the measurement. */
export interface Disturbance {
  readonly what: 'reload' | 'persister killed'
  /** Since the measurement's start. */
  readonly second: number
  /** How long it took. */
  readonly seconds: number
  readonly succeeded: boolean
}

/** In cores, over the measurement. */
export interface OthersUse {
  /** Used by neither server nor generators; the kernel's work for them that it books to nobody is in it. */
  readonly cores: number
  /** Taken by the hypervisor. */
  readonly stolenCores: number
}

export interface AuditResult {
  readonly verdict: AuditVerdict | 'failed'
  /** Attempts on record. */
  readonly attempts?: number
  /** The checks that found something. */
  readonly breaches?: readonly string[]
}

/** What was read beside the selling, in the measurement. */
export interface Reading {
  readonly offeredPerSecond: number
  readonly answeredPerSecond: number
  readonly ok: number
  /** 503. */
  readonly turnedAway: number
  readonly other: number
  readonly unanswered: number
  /** From when a request was due. */
  readonly latency: LatencySummary
  /** Of the process that reads. */
  readonly cpuSeconds: number
}

/** What the open boards were told, in the measurement. */
export interface Viewing {
  readonly viewers: number
  /** Of these, closed by the server before the end. */
  readonly closed: number
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** Of the process that has them open. */
  readonly cpuSeconds: number
}

export interface SaleCounts {
  readonly items: number
  readonly held: number
  readonly sold: number
}

/** When the stock went, and what came after. Seconds since the measurement's start. */
export interface SellOut {
  readonly lastPurchaseSecond: number
  readonly answersUntil: number
  /** Rejections a second in the whole seconds after it; absent when there was none. */
  readonly stormPerSecond?: number
  /** What the same buyers reached against a bare handler just before. */
  readonly floor?: FloorRates
}

export interface FloorRates {
  /** Answers a second until the last purchase. */
  readonly sellingPerSecond: number
  /** As in `SellOut`. */
  readonly stormPerSecond?: number
}

export interface Run {
  readonly startedAt: string
  /** Length of the measurement. */
  readonly seconds: number
  readonly interrupted: boolean
  /** In the measurement's seconds. */
  readonly tally: Tally
  /** Before it, and after it of requests that were sent in it. */
  readonly warmup: Tally
  readonly tail: Tally
  /** Requests a second: on schedule in an open loop, sent in a closed one. */
  readonly offeredPerSecond: number
  /** Answers a second. */
  readonly achievedPerSecond: number
  readonly neverSent: number
  readonly latencyFrom: 'due' | 'sent'
  readonly latency: Readonly<Record<LoadOperation, LatencySummary>>
  /** From the sending; open loop only. */
  readonly uncorrected?: Readonly<Record<LoadOperation, LatencySummary>>
  readonly timeline: Timeline
  /** With `reads` alone. */
  readonly reading?: Reading
  /** With `viewers` alone. */
  readonly viewing?: Viewing
  readonly sellOut?: SellOut
  /** By role; absent when the server's processes could not be seen. */
  readonly use?: Readonly<Record<string, RoleUse>>
  /** A look a minute; absent where it took no minute, and like `use`. */
  readonly holdings?: readonly Holding[]
  readonly disturbances?: readonly Disturbance[]
  /** Absent like `use`. */
  readonly others?: OthersUse
  readonly generator: { readonly cpuSeconds: readonly number[]; readonly peakBytes: number }
  readonly log?: { readonly backlogEntries: number; readonly lagSeconds: number; readonly drainSeconds?: number }
  readonly audit?: AuditResult
  readonly sale?: SaleCounts
  /** Why this is no result; empty when it is one. */
  readonly problems: readonly string[]
  /** What to know when reading it. */
  readonly notes: readonly string[]
  /** What could not be measured. */
  readonly missing: readonly string[]
}

export function isValid({ problems }: Run): boolean {
  return problems.length === 0
}

/** @throws Error that says what is wrong with the text */
export function parseReport(text: string): Report {
  let report: Partial<Report>
  try {
    report = JSON.parse(text) as Partial<Report>
  } catch {
    throw new Error('it is no JSON')
  }
  if (report.format !== reportFormat) throw new Error('it is no load report')
  if (report.version !== reportVersion) throw new Error(`its version is ${report.version}, not ${reportVersion}`)
  return report as Report
}

import { textTable } from '../../core/text-table.mjs'
import type { Machine } from '../harness/machine.ts'
import type { MeasuredCandidate, MeasuredCase } from './measure.ts'

export interface MicroReport {
  readonly machine: Machine
  readonly startedAt: string
  readonly settings: { readonly rounds: number; readonly msPerRound: number; readonly smoke: boolean }
  /** False when it was interrupted or something failed. */
  readonly isComplete: boolean
  readonly cases: readonly MeasuredCase[]
}

export function headerText({ machine, settings }: Pick<MicroReport, 'machine' | 'settings'>): string {
  const { commit, node, cpu, cores, memoryGiB, system, loadAverage } = machine
  const lines = [
    `commit ${commit}, Node.js ${node}`,
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}; load average ${loadAverage} at the start`,
    `${settings.rounds} rounds of ${settings.msPerRound} ms a candidate, in turn; ratio: median (least to largest) of the rounds`,
  ]
  // Half a core's worth of others is what a median of several rounds still gets over.
  if (loadAverage > 0.5) lines.push('the machine is not quiet: compare the ratios, not the times')
  if (settings.smoke) lines.push('SMOKE: shows that it works, the numbers mean nothing')
  return `${lines.join('\n')}\n`
}

export function caseText({ subject, name, operation, candidates, void: isVoid }: MeasuredCase): string {
  const title = `\n${subject}: ${name} (times for one ${operation})\n`
  if (isVoid !== undefined) return `${title}  VOID: ${isVoid}\n`
  const meters = Object.keys(candidates[0]?.metered ?? {})
  const head = ['', 'median', 'p25 to p75', 'samples', 'per second', 'ratio', ...meters]
  const rows = candidates.map((one) => [
    one.name,
    timeText(one.medianNs),
    `${timeText(one.p25Ns)} to ${timeText(one.p75Ns)}`,
    String(one.samples),
    countText(one.operationsPerSecond),
    ratioText(one),
    ...meters.map((meter) => (one.metered[meter] ?? 0).toFixed(2)),
  ])
  return (
    title +
    textTable(head, rows)
      .map((line) => `  ${line}\n`)
      .join('')
  )
}

function ratioText({ ratio, ratioMin, ratioMax }: MeasuredCandidate): string {
  const [middle, least, largest] = [ratio, ratioMin, ratioMax].map((value) => value.toFixed(2))
  return least === largest ? `${middle}` : `${middle} (${least} to ${largest})`
}

function timeText(ns: number): string {
  if (ns < 1_000) return `${ns.toPrecision(3)} ns`
  return ns < 1e6 ? `${(ns / 1e3).toPrecision(3)} us` : `${(ns / 1e6).toPrecision(3)} ms`
}

function countText(count: number): string {
  return Number(count.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 0 })
}

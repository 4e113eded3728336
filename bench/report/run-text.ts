import { textTable } from '../../core/text-table.mjs'
import type { Settings } from '../load/settings.ts'
import { formatBytes, formatCount, formatMs, formatPercent } from './format.ts'
import { holdingsText } from './holdings.ts'
import type { LatencySummary } from './latencies.ts'
import type { Reading, Run, SellOut, Viewing } from './report.ts'
import { ratesOf } from './sell-out.ts'
import { accepted, answered, sum } from './tally.ts'

type Loaded = Omit<Run, 'audit' | 'problems' | 'notes' | 'missing'>

/** What the load came to, for people. Rates are over the measurement, without warm-up and tail. */
export function loadText(run: Loaded, settings: Settings): string {
  const lines = [...rateLines(run, settings), '', ...answerLines(run), '', ...latencyLines(run), '', ...useLines(run)]
  if (run.holdings !== undefined) lines.push('', ...holdingsText(run.holdings))
  return `${lines.join('\n')}\n`
}

/** What was found out after the load. */
export function aftermathText(run: Run): string {
  const { log, audit, sale, sellOut } = run
  const lines: string[] = []
  if (sellOut !== undefined) lines.push(...sellOutLines(sellOut))
  if (sale !== undefined)
    lines.push(
      `sale:     ${formatCount(sale.sold)} of ${formatCount(sale.items)} items sold, ${formatCount(sale.held)} held`,
    )
  if (log !== undefined)
    lines.push(
      `log:      ${formatCount(log.backlogEntries)} entries behind at the end (lag ${log.lagSeconds.toFixed(2)} s); ` +
        (log.drainSeconds === undefined ? 'not seen drained' : `drained ${log.drainSeconds.toFixed(1)} s later`),
    )
  const rows = audit?.attempts === undefined ? '' : `: ${formatCount(audit.attempts)} attempts on record, each once`
  if (audit !== undefined) lines.push(`audit:    ${audit.verdict}${audit.verdict === 'passed' ? rows : ''}`)
  for (const note of run.notes) lines.push(`note:     ${note}`)
  for (const what of run.missing) lines.push(`missing:  ${what}`)
  for (const problem of run.problems) lines.push(`INVALID:  ${problem}`)
  return `${lines.join('\n')}\n`
}

function sellOutLines(sellOut: SellOut): string[] {
  const { lastPurchaseSecond, answersUntil, stormPerSecond, floor } = sellOut
  const { sellingPerSecond } = ratesOf(sellOut)
  const storm = stormPerSecond === undefined ? '' : `; then ${formatCount(stormPerSecond)} rejections/s`
  const lines = [
    `sold out: the last item went after ${lastPurchaseSecond.toFixed(2)} s and ${formatCount(answersUntil)} answers, ${formatCount(sellingPerSecond)}/s${storm}`,
  ]
  if (floor === undefined) return lines
  const inStorm =
    stormPerSecond === undefined || floor.stormPerSecond === undefined
      ? ''
      : `, then ${shareOf(stormPerSecond, floor.stormPerSecond)}`
  lines.push(`floor:    ${shareOf(sellingPerSecond, floor.sellingPerSecond)} of a bare handler until then${inStorm}`)
  return lines
}

function shareOf(own: number, floor: number): string {
  return `${(own / floor).toFixed(2)} of ${formatCount(floor)}/s`
}

function rateLines(
  { tally, seconds, offeredPerSecond, achievedPerSecond, reading, viewing }: Loaded,
  settings: Settings,
): string[] {
  const perSecond = (times: number): string => formatCount(times / Math.max(seconds, 1e-3))
  const kind = settings.rate > 0 ? 'offered on schedule' : 'sent, as answers came'
  return [
    `requests  ${formatCount(offeredPerSecond)}/s ${kind}; ${formatCount(achievedPerSecond)}/s answered, over ${seconds.toFixed(1)} s`,
    `goodput   ${perSecond(tally.holds)} holds/s, ${perSecond(tally.purchases)} purchases/s` +
      (tally.repeats > 0 ? `, ${perSecond(tally.repeats)} repeats/s` : ''),
    ...readingLines(reading),
    ...viewingLines(viewing),
  ]
}

function readingLines(reading: Reading | undefined): string[] {
  if (reading === undefined) return []
  const { offeredPerSecond, answeredPerSecond, ok, turnedAway, other, unanswered, latency } = reading
  return [
    `reading   ${formatCount(offeredPerSecond)}/s offered, ${formatCount(answeredPerSecond)}/s answered: ` +
      `${formatCount(ok)} ok, ${formatCount(turnedAway)} turned away, ${formatCount(other + unanswered)} failed; ` +
      `p50 ${formatMs(latency.p50Us)}, p99 ${formatMs(latency.p99Us)} ms`,
  ]
}

function viewingLines(viewing: Viewing | undefined): string[] {
  if (viewing === undefined) return []
  const { viewers, closed, messagesPerSecond, bytesPerSecond, cpuSeconds } = viewing
  return [
    `viewing   ${formatCount(viewers)} boards, ${formatCount(closed)} of them closed by the server: ` +
      `${formatCount(messagesPerSecond)} messages/s, ${formatCount(bytesPerSecond / 1_024)} KiB/s; ${cpuSeconds.toFixed(1)} s of CPU`,
  ]
}

function answerLines({ tally }: Loaded): string[] {
  const all = Math.max(1, answered(tally) + tally.timeouts + sum(tally.socketErrors))
  const row = (kind: string, what: string, times: number): string[] => [
    `${kind.padEnd(10)}${what}`,
    formatCount(times),
    formatPercent(times / all),
  ]
  const byCount = (kind: string, counts: Readonly<Record<string, number>>): string[][] =>
    Object.entries(counts)
      .toSorted((a, b) => b[1] - a[1])
      .map(([code, times], at) => row(at === 0 ? kind : '', code, times))
  const rows = [
    row('accepted', 'holds', tally.holds),
    row('', 'purchases', tally.purchases),
    ...(tally.repeats > 0 ? [row('', 'repeats', tally.repeats)] : []),
    ...byCount('rejected', tally.rejected),
    ...byCount('5xx', tally.failed),
    ...(tally.timeouts > 0 ? [row('timeouts', '', tally.timeouts)] : []),
    ...byCount('sockets', tally.socketErrors),
    ...byCount('WRONG', tally.unexpected),
  ]
  return textTable(['answers', 'count', 'share'], rows).concat(
    `accepted in all: ${formatPercent(accepted(tally) / all)}`,
  )
}

function latencyLines({ latencyFrom, latency, uncorrected }: Loaded): string[] {
  const rows = [latencyRow('checkout', latency.checkout), latencyRow('purchase', latency.purchase)]
  if (uncorrected !== undefined)
    rows.push(
      latencyRow('checkout from sending', uncorrected.checkout),
      latencyRow('purchase from sending', uncorrected.purchase),
    )
  return textTable(['latency, ms', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'max'], rows).concat(
    latencyFrom === 'due'
      ? 'open loop: from the moment a request was due, so corrected for coordinated omission'
      : 'closed loop: from the sending; a slow answer holds back the next request, which no percentile here shows',
  )
}

function latencyRow(name: string, { count, p50Us, p90Us, p99Us, p999Us, maxUs, meanUs }: LatencySummary): string[] {
  return [name, ...[meanUs, p50Us, p90Us, p99Us, p999Us, maxUs].map((us) => (count === 0 ? '-' : formatMs(us)))]
}

function useLines({ use, generator, seconds, tally }: Loaded): string[] {
  const all = Math.max(1, answered(tally))
  const row = (role: string, processes: number, cpuSeconds: number, peakBytes: number): string[] => [
    role,
    String(processes),
    cpuSeconds.toFixed(1),
    (cpuSeconds / Math.max(seconds, 1e-3)).toFixed(2),
    ((1e6 * cpuSeconds) / all).toFixed(1),
    formatBytes(peakBytes),
  ]
  const rows = Object.entries(use ?? {})
    .toSorted((a, b) => b[1].cpuSeconds - a[1].cpuSeconds)
    .map(([role, { processes, cpuSeconds, peakBytes }]) => row(role, processes, cpuSeconds, peakBytes))
  const { cpuSeconds, peakBytes } = generator
  const generatorSeconds = cpuSeconds.reduce((total, each) => total + each, 0)
  rows.push(row('load generator', cpuSeconds.length, generatorSeconds, peakBytes))
  return textTable(['CPU and memory', 'processes', 'CPU s', 'cores', 'µs/answer', 'peak RSS'], rows)
}

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { formatMix } from '../load/settings.ts'
import { formatCount, formatPercent } from '../report/format.ts'
import type { Report, Run } from '../report/report.ts'
import { answered } from '../report/tally.ts'
import type { Column, Comparison, Row } from './comparison.ts'
import { legend, ratioText, spreadText, verdictText } from './comparison-text.ts'
import { pageData } from './page-data.ts'

/** The comparison as one HTML page that loads nothing from anywhere. */
export function comparisonPage(comparison: Comparison): string {
  const { columns, rows, warnings } = comparison
  const parts: Record<string, string> = {
    title: escape(pageTitle(columns)),
    lead: escape(lead(columns)),
    reports: columns.map(reportItem).join(''),
    cards: headlines
      .map((name) =>
        card(
          columns,
          rows.find(({ metric }) => metric.name === name),
        ),
      )
      .join(''),
    outcomes: columns.map((column, at) => bar(column, at, outcomeParts(column.valid))).join(''),
    cpu: cpuBars(columns),
    table: numbersTable(columns, rows),
    legend: legend(comparison).map(escape).join('<br>'),
    warnings:
      warnings.length === 0
        ? ''
        : `<ul class="warnings">${warnings.map((one) => `<li>${escape(one)}</li>`).join('')}</ul>`,
    facts: factsTable(columns),
    latencyMeaning: latencyMeaning(columns),
    style: asset('./page.css'),
    script: asset('./page.browser.mjs'),
    chartStyle: readFileSync(fileURLToPath(import.meta.resolve('uplot/dist/uPlot.min.css')), 'utf8'),
    chartScript: readFileSync(fileURLToPath(import.meta.resolve('uplot/dist/uPlot.iife.min.js')), 'utf8'),
    // No text in it can end the script element.
    data: JSON.stringify(pageData(comparison)).replaceAll('<', String.raw`\u003c`),
  }
  return asset('./page.html').replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => parts[name] ?? '')
}

const headlines = ['answers', 'goodput', 'checkout p99', 'purchase p99', 'CPU, server']

function asset(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
}

function pageTitle(columns: readonly Column[]): string {
  const names = [...new Set(columns.map(({ report }) => report.scenario))]
  return `hotcakes under load: ${names.join(', ')}`
}

function lead(columns: readonly Column[]): string {
  const machines = [
    ...new Set(
      columns.map(
        ({ report: { machine } }) =>
          `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}, ${machine.fileSystem}`,
      ),
    ),
  ]
  const shares = columns.some(({ report }) => report.server.sharesMachine === true)
  return `Measured on ${machines.join(' and on ')}.${shares ? ' The load generator ran on the same machine and took its share of it.' : ''}`
}

function reportItem({ title, report, valid }: Column, at: number): string {
  const runs = valid.runs.length
  const attempts = valid.runs.reduce((total, { audit }) => total + (audit?.attempts ?? 0), 0)
  const audited = valid.runs.every(({ audit }) => audit?.verdict === 'passed')
  const proof = audited ? `audit passed, ${formatCount(attempts)} attempts on record` : 'not audited'
  const text = `${report.startedAt.slice(0, 16).replace('T', ' ')} UTC, commit ${report.machine.commit}, ${runs} run${runs === 1 ? '' : 's'}; ${proof}`
  return `<li><span class="dot" style="--color:var(--series-${at % 6})"></span><b>${escape(title)}</b><small>${escape(text)}</small></li>`
}

function card(columns: readonly Column[], row: Row | undefined): string {
  if (row === undefined) return ''
  const { metric, cells } = row
  const values = columns.map((_, at) => {
    const cell = cells[at]
    const value = cell === undefined ? '-' : metric.format(cell.spread.median)
    return `<div>${columns.length > 1 ? `<dt class="dot" style="--color:var(--series-${at % 6})"></dt>` : ''}<dd>${value} <small>${metric.unit}</small></dd></div>`
  })
  const second = columns.length === 2 ? cells[1] : undefined
  const note =
    second === undefined
      ? ''
      : [ratioText(second), verdictText(metric, second)].filter((text) => text !== '').join(', ')
  return `<div class="card"><h2>${escape(metric.name)}</h2><dl>${values.join('')}</dl>${note === '' ? '' : `<p class="ratio ${verdictClass(note)}">${note}</p>`}</div>`
}

function verdictClass(verdict: string): string {
  return verdict.endsWith('better') ? 'better' : verdict.endsWith('worse') ? 'worse' : 'noise'
}

interface Part {
  readonly name: string
  readonly color: string
  readonly value: number
  readonly text: string
}

/** One report's parts as a bar as long as `whole`. */
function bar(
  { title }: Column,
  at: number,
  { parts, whole, text }: { parts: readonly Part[]; whole: number; text: string },
): string {
  const shown = parts.filter(({ value }) => value > 0)
  const pieces = shown.map(
    ({ color, value, name }) =>
      `<i style="--color:${color};width:${((100 * value) / whole).toFixed(3)}%" title="${escape(name)}"></i>`,
  )
  const items = shown.map(
    ({ color, name, text: own }) =>
      `<li><i class="dot" style="--color:${color}"></i>${escape(name)} <span>${own}</span></li>`,
  )
  return `<p class="bar-title"><span class="dot" style="--color:var(--series-${at % 6})"></span><b>${escape(title)}</b><span>${text}</span></p><div class="bar">${pieces.join('')}</div><ul class="parts">${items.join('')}</ul>`
}

/** The same in every report; what is not named here shares the last one. */
const colorOfOutcome: Readonly<Record<string, number>> = {
  holds: 0,
  purchases: 1,
  repeats: 2,
  item_sold: 3,
  item_held: 4,
  code_unknown: 5,
  user_limit_reached: 6,
}

/** Of all repeats together. */
function outcomeParts({ runs }: Report): { parts: Part[]; whole: number; text: string } {
  const counts = new Map<string, { value: number; isBad: boolean }>()
  const add = (name: string, value: number, isBad = false): void => {
    counts.set(name, { value: value + (counts.get(name)?.value ?? 0), isBad })
  }
  for (const { tally } of runs) {
    add('holds', tally.holds)
    add('purchases', tally.purchases)
    add('repeats', tally.repeats)
    for (const [code, times] of Object.entries(tally.rejected).toSorted((a, b) => b[1] - a[1])) add(code, times)
    for (const [code, times] of Object.entries({ ...tally.failed, ...tally.socketErrors })) add(code, times, true)
    add('timeouts', tally.timeouts, true)
  }
  const whole = Math.max(
    1,
    [...counts.values()].reduce((total, { value }) => total + value, 0),
  )
  const parts = [...counts].map(([name, { value, isBad }]) => ({
    name,
    color: isBad ? 'var(--part-bad)' : `var(--part-${colorOfOutcome[name] ?? 7})`,
    value,
    text: formatPercent(value / whole),
  }))
  return { parts, whole, text: `${formatCount(whole)} requests` }
}

const roles = ['HTTP workers', 'Redis', 'persister', 'Postgres', 'primary']

/** Bars on one scale: the longest is the costliest report. */
function cpuBars(columns: readonly Column[]): string {
  const all = columns.map(({ valid }) => cpuParts(valid.runs))
  const whole = Math.max(...all.map(({ total }) => total))
  if (whole === 0) return '<p class="fine">The server\'s processes could not be seen.</p>'
  return columns
    .map((column, at) => {
      const { parts, total } = all[at] ?? { parts: [], total: 0 }
      return bar(column, at, { parts, whole, text: `${total.toFixed(1)} µs` })
    })
    .join('')
}

function cpuParts(runs: readonly Run[]): { parts: Part[]; total: number } {
  const answers = runs.reduce((total, { tally }) => total + answered(tally), 0)
  const parts = roles.map((name, at): Part => {
    const seconds = runs.reduce((total, { use }) => total + (use?.[name]?.cpuSeconds ?? 0), 0)
    const value = (1e6 * seconds) / Math.max(1, answers)
    return { name, color: `var(--part-${[0, 3, 5, 6, 7][at] ?? 7})`, value, text: `${value.toFixed(1)} µs` }
  })
  return { parts, total: parts.reduce((total, { value }) => total + value, 0) }
}

function numbersTable(columns: readonly Column[], rows: readonly Row[]): string {
  const others = columns.slice(1)
  const head = [
    '',
    ...columns.map(({ title }) => title),
    ...others.flatMap(({ title }) => [others.length > 1 ? `ratio, ${title}` : 'ratio', '']),
  ]
  const body = rows.map(({ metric, cells }) => {
    const values = cells.map(
      (cell) =>
        `<td>${cell === undefined ? '-' : spreadText(metric, cell).replace(/ (\(.*\))$/, ' <small>$1</small>')}</td>`,
    )
    const ratios = cells.slice(1).flatMap((cell) => {
      const verdict = cell === undefined ? '' : verdictText(metric, cell)
      return [
        `<td>${cell === undefined ? '' : ratioText(cell)}</td>`,
        `<td class="${verdictClass(verdict)}">${verdict}</td>`,
      ]
    })
    return `<tr><th scope="row">${escape(metric.name)}, ${metric.unit}</th>${values.join('')}${ratios.join('')}</tr>`
  })
  return `<thead><tr>${head.map((name) => `<th scope="col">${escape(name)}</th>`).join('')}</tr></thead><tbody>${body.join('')}</tbody>`
}

function factsTable(columns: readonly Column[]): string {
  const all = columns.map(({ report }) => factsOf(report))
  const names = [...new Set(all.flatMap((facts) => Object.keys(facts)))]
  const body = names.map(
    (name) =>
      `<tr><th scope="row">${escape(name)}</th>${all.map((facts) => `<td>${escape(facts[name] ?? '-')}</td>`).join('')}</tr>`,
  )
  const head = columns.map(({ title }) => `<th scope="col">${escape(title)}</th>`)
  return `<thead><tr><th></th>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody>`
}

function factsOf({ scenario, settings, server, machine, startedAt }: Report): Record<string, string> {
  const { connections, generators, seconds, warmup, items, users, userLimit, hold } = settings
  return {
    scenario,
    load:
      settings.rate > 0
        ? `open loop, ${formatCount(settings.rate)} requests/s on schedule`
        : 'closed loop, as answers came',
    mix: formatMix(settings.mix) + (settings.copies > 1 ? `, each request sent ${settings.copies} times` : ''),
    'fresh items': settings.hot > 0 ? `none: ${settings.hot} hot ones` : formatPercent(settings.fresh, 0),
    connections: `${connections} in ${generators} generator process${generators === 1 ? '' : 'es'}`,
    length: `${seconds} s after ${warmup} s of warm-up`,
    sale: `${formatCount(items)} items, ${formatCount(users)} users, at most ${userLimit} each, held for ${hold} s`,
    server: server.kind === 'own' ? 'fresh, embedded Redis (appendfsync always) and Postgres' : 'a running one',
    started: startedAt,
    commit: machine.commit,
    machine: `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB`,
    system: `${machine.system}, data on ${machine.fileSystem}`,
    versions: Object.entries({ node: machine.node, ...machine.versions })
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  }
}

function latencyMeaning(columns: readonly Column[]): string {
  const isOpen = new Set(columns.flatMap(({ valid }) => valid.runs.map(({ latencyFrom }) => latencyFrom === 'due')))
  const open =
    'In an open loop latency counts from the moment a request was due, which corrects for coordinated omission.'
  const closed =
    'In a closed loop latency counts from the sending: a slow answer holds back the next request, which no percentile shows.'
  return [...(isOpen.has(true) ? [open] : []), ...(isOpen.has(false) ? [closed] : [])].join(' ')
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function escape(text: string): string {
  return text.replaceAll(/[&<>"]/g, (char) => entities[char] ?? '')
}

// npm run screenshots:dashboard: a picture of every panel, out of a sale that Prometheus watched.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { type Command, type Options, runCommand, wholeNumber } from '../../core/command-line.mjs'
import { auditLookIntervalMs } from '../../core/limits.ts'
import { launchBrowser } from '../harness/browser.ts'
import { runProgram, startHotcakes } from '../harness/server-under-test.ts'
import { Crowd } from '../screenshots/crowd.ts'
import { type DashboardData, queryPanels } from './panels.ts'
import { type Prometheus, startPrometheus } from './prometheus.ts'

const scrapeSeconds = 1
/** Until the verdict of an audit is among the metrics, and scraped. */
const auditShownMs = auditLookIntervalMs + 2_000 * scrapeSeconds
const items = 10_000
const env = {
  APP_SALE_INTERVAL_SECONDS: '2592000',
  APP_ITEM_NUMBER: String(items),
  APP_HOLD_SECONDS: '20',
  APP_WORKERS: '2',
  APP_SHARDS: '3',
}

const dashboardCommand = {
  name: 'npm run screenshots:dashboard',
  purpose: `Takes a picture of the Grafana dashboard's panels, drawn from a real Prometheus that watched a real sale. Grafana
    itself is not needed: what can be seen is what every panel's query answers, in the dashboard's own layout.`,
  options: {
    out: { value: 'FILE', read: String, default: 'docs/pictures/dashboard.png', doc: 'the picture' },
    seconds: { value: 'N', read: wholeNumber({ min: 1 }), default: 90, doc: 'length of the sale' },
  },
  exits: { 1: 'it could not be taken' },
} satisfies Command<Options>

process.exitCode = await runCommand(dashboardCommand, process.argv.slice(2), async ({ out, seconds }) => {
  if (spawnSync('prometheus', ['--version']).error !== undefined) {
    process.stderr.write('there is no program prometheus in the PATH: apt-get install prometheus\n')
    return 1
  }
  await picture(await watchedSale(seconds), out)
  process.stdout.write(`${out}\n`)
  return 0
})

/** What the dashboard shows of a sale of so many seconds that slows down and speeds up. */
async function watchedSale(seconds: number): Promise<DashboardData> {
  const server = await startHotcakes(env)
  let prometheus: Prometheus | undefined
  try {
    prometheus = await startPrometheus(new URL(server.metricsUrl).host, scrapeSeconds)
    const start = Math.floor(Date.now() / 1_000) + 2 * scrapeSeconds
    const crowd = await Crowd.at(server.url, { kept: 0 })
    const shares = [0.1, 0.35, 0.15, 0.4]
    for (const share of shares) {
      const count = Math.round(items * share)
      await crowd.buy({ count, perSecond: (count * shares.length) / seconds, purchased: 0.85 })
    }
    await runProgram('../../ops/tools/audit/main.js', ['--json'], server)
    await delay(auditShownMs)
    const end = Math.floor(Date.now() / 1_000)
    return await queryPanels(prometheus, { start, end, step: scrapeSeconds, scrapeSeconds })
  } finally {
    await prometheus?.stop()
    await server.stop()
  }
}

async function picture(data: DashboardData, path: string): Promise<void> {
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage({ viewport: { width: 1_600, height: 900 } })
    await page.setContent(pageOf(data))
    await page.locator('#dashboard').screenshot({ path })
  } finally {
    await browser.close()
  }
}

function pageOf(data: DashboardData): string {
  const parts: Readonly<Record<string, string>> = {
    style: asset('./page.css'),
    script: asset('./page.browser.mjs'),
    chartStyle: packaged('uplot/dist/uPlot.min.css'),
    chartScript: packaged('uplot/dist/uPlot.iife.min.js'),
    // No text in it can end the script element.
    data: JSON.stringify(data).replaceAll('<', String.raw`\u003c`),
  }
  return asset('./page.html').replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => parts[name] ?? '')
}

function asset(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
}

function packaged(name: string): string {
  return readFileSync(fileURLToPath(import.meta.resolve(name)), 'utf8')
}

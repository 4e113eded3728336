import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { freePort } from '../../core/free-port.ts'
import { stopChild } from '../harness/stop-child.ts'

const folder = 'ops/deploy/prometheus'
const startMsMax = 90_000
/** One attempt to ask whether it is ready. */
const answerMsMax = 10_000
const stopMsMax = 10_000
const pollMs = 100

export interface Series {
  readonly metric: Readonly<Record<string, string>>
  /** Unix seconds and value, in the order of time. */
  readonly values: readonly (readonly [number, string])[]
}

export interface Prometheus {
  /** Answers of `/api/v1/query_range`. @throws Error that says what Prometheus has against the query */
  range(query: string, span: { start: number; end: number; step: number }): Promise<Series[]>
  stop(): Promise<void>
}

/**
 * A real Prometheus with the project's rules, and its configuration but for the target and a shorter interval.
 * @param target host:port of the metrics
 */
export async function startPrometheus(target: string, intervalSeconds: number): Promise<Prometheus> {
  const data = mkdtempSync(join(tmpdir(), 'hotcakes-prometheus-'))
  const config = readFileSync(join(folder, 'prometheus.yml'), 'utf8')
    .replace(/targets: \[.*\]/, `targets: ['${target}']`)
    .replaceAll(/(scrape|evaluation)_interval: \S+/g, `$1_interval: ${intervalSeconds}s`)
    .replace(/scrape_timeout: \S+/, `scrape_timeout: ${intervalSeconds}s`)
  writeFileSync(join(data, 'prometheus.yml'), config)
  for (const file of ['recording.rules.yml', 'alerting.rules.yml']) copyFileSync(join(folder, file), join(data, file))
  const port = await freePort()
  const flags = [
    `--config.file=${join(data, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(data, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=error',
  ]
  const child = spawn('prometheus', flags, { stdio: ['ignore', 'ignore', 'inherit'] })
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined) await stopChild(child, stopMsMax)
    rmSync(data, { recursive: true, force: true })
  }
  await Promise.race([untilReady(url), failed]).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return { range: (query, span) => range(url, query, span), stop }
}

async function untilReady(url: string): Promise<void> {
  const deadlineMs = performance.now() + startMsMax
  while (performance.now() < deadlineMs) {
    const isReady = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(answerMsMax) }).then(
      ({ ok }) => ok,
      () => false, // not listening yet
    )
    if (isReady) return
    await delay(pollMs)
  }
  throw new Error(`Prometheus was not ready after ${startMsMax / 1_000} s`)
}

interface RangeAnswer {
  readonly status: 'success' | 'error'
  readonly error?: string
  readonly data?: { readonly result: Series[] }
}

async function range(
  url: string,
  query: string,
  { start, end, step }: { start: number; end: number; step: number },
): Promise<Series[]> {
  const body = new URLSearchParams({ query, start: String(start), end: String(end), step: String(step) })
  const answer = (await (await fetch(`${url}/api/v1/query_range`, { method: 'POST', body })).json()) as RangeAnswer
  if (answer.data === undefined) throw new Error(`${query}: ${answer.error ?? 'no answer'}`)
  return answer.data.result
}

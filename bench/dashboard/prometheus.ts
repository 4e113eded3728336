import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from '../../core/free-port.ts'
import { stopChild } from '../harness/stop-child.ts'
import { whenAnswering } from '../harness/when-answering.ts'

const folder = 'ops/deploy/prometheus'
const stopMsMax = 10_000

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
  await Promise.race([whenAnswering(`${url}/-/ready`, child, stop), failed])
  return { range: (query, span) => range(url, query, span), stop }
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

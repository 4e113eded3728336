import assert from 'node:assert/strict'

import type { HttpClient } from './http-client.ts'

/** One scrape of a cluster's /metrics. */
export class Scrape {
  /** `name{labels}` as the text has it -> value. */
  readonly series = new Map<string, number>()
  readonly #types = new Map<string, string>()

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const type = /^# TYPE (\S+) (\S+)$/.exec(line)
      if (type !== null) this.#types.set(type[1] ?? '', type[2] ?? '')
      const sample = /^([^#\s][^{ ]*(?:\{.*\})?) (\S+)$/.exec(line)
      if (sample !== null) this.series.set(sample[1] ?? '', Number(sample[2]))
    }
  }

  value(series: string): number | undefined {
    return this.series.get(series)
  }

  /** The sum over all label sets of a name. */
  total(name: string): number {
    return [...this.series].reduce((sum, [key, value]) => (nameOf(key) === name ? sum + value : sum), 0)
  }

  /** The pids that the processes of a kind report themselves with. */
  pids(process: 'http' | 'persister'): number[] {
    return [...this.series].flatMap(([key, pid]) =>
      key.startsWith(`hotcakes_process_pid{process="${process}"`) ? [pid] : [],
    )
  }

  ready(kind: 'http' | 'persister'): number | undefined {
    return this.value(`hotcakes_workers{kind="${kind}",state="ready"}`)
  }

  restarts(kind: 'http' | 'persister'): number | undefined {
    return this.value(`hotcakes_worker_restarts_total{kind="${kind}"}`)
  }

  /** That no counter and no part of a histogram is lower than it was. */
  assertNoFall(earlier: Scrape): void {
    for (const [key, before] of earlier.series) {
      const name = nameOf(key)
      const type = this.#types.get(name) ?? this.#types.get(name.replace(/_(bucket|sum|count)$/, ''))
      if (type !== 'counter' && type !== 'histogram') continue
      const now = this.value(key)
      assert.ok(now !== undefined && now >= before, `${key} fell from ${before} to ${now}`)
    }
  }
}

function nameOf(series: string): string {
  return series.split('{', 1)[0] ?? ''
}

/** @param metrics a client of `cluster.metricsUrl` */
export async function scrape(metrics: HttpClient): Promise<Scrape> {
  const { status, text } = await metrics.get('/metrics')
  assert.equal(status, 200, text)
  return new Scrape(text)
}

/** Whether all children are there and answer. */
export function isWhole(now: Scrape, workers = 2): boolean {
  return now.pids('http').length === workers && now.pids('persister').length === 1
}

/** One of the processes. There must be one: a signal to the pid 0 would go to the test itself. */
export function onePid(pids: readonly number[]): number {
  const [pid] = pids
  assert.ok(pid !== undefined && pid > 0)
  return pid
}

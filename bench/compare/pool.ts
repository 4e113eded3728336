import { isDeepStrictEqual } from 'node:util'
import type { Report } from '../report/report.ts'

/**
 * Labelled reports of one scenario, commit and set of settings become one whose runs are repeats of each other. So two
 * builds can be compared although `--repeat` knows only one: run them in turn, each with its label.
 */
export function pooled(reports: readonly Report[]): Report[] {
  const pools: Report[] = []
  for (const report of reports) {
    const at = pools.findIndex((pool) => areRepeats(pool, report))
    const pool = pools[at]
    if (pool === undefined) pools.push(report)
    else pools[at] = { ...pool, runs: [...pool.runs, ...report.runs] }
  }
  return pools
}

function areRepeats(a: Report, b: Report): boolean {
  return a.label !== undefined && isDeepStrictEqual(identity(a), identity(b))
}

function identity({ scenario, label, settings, server, machine }: Report): unknown {
  return [scenario, label, settings, server.kind, server.env, machine.commit]
}

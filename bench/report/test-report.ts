import { scenarios } from '../load/scenarios.ts'
import { newHistogram, summarize } from './latencies.ts'
import { type Report, type Run, reportFormat, reportVersion } from './report.ts'
import { newTally } from './tally.ts'

/** For tests: a run of one second that is a result. @param options.perSecond its holds; every second one is purchased */
export function anyRun({ perSecond = 1_000, ...overrides }: Partial<Run> & { perSecond?: number } = {}): Run {
  const histogram = newHistogram()
  for (let us = 100; us <= 10_000; us += 100) histogram.recordValue(us)
  const latency = summarize(histogram)
  const tally = { ...newTally(), sent: 1.5 * perSecond, holds: perSecond, purchases: perSecond / 2 }
  return {
    startedAt: '2026-01-02T03:04:05.000Z',
    seconds: 1,
    interrupted: false,
    tally,
    warmup: newTally(),
    tail: newTally(),
    offeredPerSecond: tally.sent,
    achievedPerSecond: tally.sent,
    neverSent: 0,
    latencyFrom: 'sent',
    latency: { checkout: latency, purchase: latency },
    timeline: {
      answered: [tally.sent],
      holds: [tally.holds],
      purchases: [tally.purchases],
      rejected: [0],
      failed: [0],
      p50Us: [latency.p50Us],
      p99Us: [latency.p99Us],
      maxUs: [latency.maxUs],
    },
    use: { Redis: { cpuSeconds: 0.1, processes: 1, peakBytes: 2 ** 20 } },
    generator: { cpuSeconds: [0.2], peakBytes: 2 ** 20 },
    log: { backlogEntries: 3, lagSeconds: 0.1, drainSeconds: 0.2 },
    audit: { verdict: 'passed', attempts: tally.sent },
    sale: { items: 1_000_000, held: tally.holds / 2, sold: tally.purchases },
    problems: [],
    notes: [],
    missing: [],
    ...overrides,
  }
}

/** For tests. */
export function anyReport({ scenario = 'purchase-heavy', ...overrides }: Partial<Report> = {}): Report {
  const settings = scenarios.find(({ name }) => name === scenario)?.settings
  if (settings === undefined) throw new Error(`there is no scenario ${scenario}`)
  return {
    format: reportFormat,
    version: reportVersion,
    scenario,
    startedAt: '2026-01-02T03:04:05.000Z',
    settings,
    server: { kind: 'own', sharesMachine: true, env: {} },
    machine: {
      commit: '0123456789ab',
      node: 'v20.20.0',
      cpu: 'a CPU',
      cores: 2,
      memoryGiB: 8,
      system: 'linux 6.1 x64',
      loadAverage: 0,
      fileSystem: 'ext4',
      versions: { 'redis-server': '7.0.15' },
    },
    runs: [anyRun()],
    ...overrides,
  }
}

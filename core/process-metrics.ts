import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client'

/** How finely the event loop's delay is sampled: 100 samples a second take some 0.3 % of a core, of an idle process as well. */
const delayResolutionMs = 10
const usPerSecond = 1e6

export interface ReportingProcess {
  readonly process: 'primary' | 'http' | 'persister'
  /** Of the places for such a process, from 1: a successor gets that of one that has ended. */
  readonly number: string
}

/** How the primary tells a child its number: as its only argument, so that `ps` shows it too. */
export function processNumber(): string {
  return process.argv[2] ?? '1'
}

/**
 * What is not taken of prom-client's default metrics: what the event loop has open, which are arrays of everything at each
 * scrape, and of an HTTP worker its descriptors, which are a listing of thousands that stops it for milliseconds.
 */
const openThings = ['handles', 'handles_total', 'requests', 'requests_total', 'resources', 'resources_total'].map(
  (what) => `nodejs_active_${what}`,
)
const descriptors = 'process_open_fds'

/**
 * What every process tells of itself: event-loop delay since the last scrape, CPU seconds and memory, and what Node's programs
 * tell by convention (`process_*`, `nodejs_*`). Labelled with `process` and `number`, because a sum over processes would hide
 * the one that is stuck, and a pid makes new series with each reload.
 */
export function registerProcessMetrics(registry: Registry, { process: kind, number }: ReportingProcess): void {
  const labels = { process: kind, number }
  const labelNames = ['process', 'number'] as const
  const registers = [registry]
  registerDefaults(registry, labels)

  const delayGauge = new Gauge({
    name: 'hotcakes_event_loop_delay_seconds',
    help: 'Delay of the event loop since the last scrape, beyond the sampling interval.',
    labelNames: [...labelNames, 'percentile'] as const,
    registers,
    async collect() {
      for (const { percentile, name } of delaySources) {
        const source = await registry.getSingleMetric(name)?.get()
        delayGauge.set({ ...labels, percentile }, delaySeconds(source?.values[0]?.value ?? 0))
      }
    },
  })
  /** What the counter has, in µs. */
  const counted = { user: 0, system: 0 }
  const cpuCounter = new Counter({
    name: 'hotcakes_process_cpu_seconds_total',
    help: 'CPU time that processes of this kind and number have used, by mode. Of one that ended it counts on.',
    labelNames: [...labelNames, 'mode'] as const,
    registers,
    collect() {
      const used = process.cpuUsage()
      for (const mode of ['user', 'system'] as const) {
        cpuCounter.inc({ ...labels, mode }, (used[mode] - counted[mode]) / usPerSecond)
        counted[mode] = used[mode]
      }
    },
  })
  const cpuGauge = new Gauge({
    name: 'hotcakes_process_cpu_seconds',
    help: 'The same of the running process alone: the name of versions that had no counter.',
    labelNames: [...labelNames, 'mode'] as const,
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      cpuGauge.set({ ...labels, mode: 'user' }, user / usPerSecond)
      cpuGauge.set({ ...labels, mode: 'system' }, system / usPerSecond)
    },
  })
  const memoryGauge = new Gauge({
    name: 'hotcakes_process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    labelNames,
    registers,
    collect() {
      memoryGauge.set(labels, process.memoryUsage.rss())
    },
  })
  const pidGauge = new Gauge({
    name: 'hotcakes_process_pid',
    help: 'The process id, in its own namespace: not as a label, where each new process would begin a new series.',
    labelNames,
    registers,
    collect() {
      pidGauge.set(labels, process.pid)
    },
  })
}

function registerDefaults(registry: Registry, labels: Readonly<Record<string, string>>): void {
  collectDefaultMetrics({ register: registry, labels, eventLoopMonitoringPrecision: delayResolutionMs })
  for (const name of openThings) registry.removeSingleMetric(name)
  if (labels['process'] === 'http') registry.removeSingleMetric(descriptors)
  // prom-client leaves it out where processes are put together, because a sum would mean nothing. Each has its own labels here.
  const started = registry.getSingleMetric('process_start_time_seconds') as { aggregator?: string } | undefined
  if (started !== undefined) started.aggregator = 'max'
}

/**
 * prom-client's own gauges have what ours says, with the sampling interval in it: a second sampler would wake an idle process
 * twice as often. They are registered before, so a scrape has set them by then.
 */
const delaySources = [
  { percentile: 50, name: 'nodejs_eventloop_lag_p50_seconds' },
  { percentile: 99, name: 'nodejs_eventloop_lag_p99_seconds' },
  { percentile: 100, name: 'nodejs_eventloop_lag_max_seconds' },
] as const

/** Without the sampling interval. */
function delaySeconds(sampleSeconds: number): number {
  return Math.max(0, sampleSeconds - delayResolutionMs / 1_000)
}

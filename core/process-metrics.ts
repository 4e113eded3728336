import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client'

/** How finely the event loop's delay is sampled: 100 samples a second cost nothing that can be measured. */
const delayResolutionMs = 10
const nsPerSecond = 1e9
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
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs })
  delay.enable()

  const delayGauge = new Gauge({
    name: 'hotcakes_event_loop_delay_seconds',
    help: 'Delay of the event loop since the last scrape, beyond the sampling interval.',
    labelNames: [...labelNames, 'percentile'] as const,
    registers,
    collect() {
      for (const percentile of [50, 99] as const) {
        delayGauge.set({ ...labels, percentile }, delaySeconds(delay.percentile(percentile)))
      }
      delayGauge.set({ ...labels, percentile: 100 }, delaySeconds(delay.max))
      delay.reset()
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
  collectDefaultMetrics({ register: registry, labels })
  for (const name of openThings) registry.removeSingleMetric(name)
  if (labels['process'] === 'http') registry.removeSingleMetric(descriptors)
  // prom-client leaves it out where processes are put together, because a sum would mean nothing. Each has its own labels here.
  const started = registry.getSingleMetric('process_start_time_seconds') as { aggregator?: string } | undefined
  if (started !== undefined) started.aggregator = 'max'
}

/** Out of a sample in ns, which includes the sampling interval itself. */
function delaySeconds(sampleNs: number): number {
  return Math.max(0, sampleNs / nsPerSecond - delayResolutionMs / 1_000)
}

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'

/** How finely the event loop's delay is sampled: 100 samples a second cost nothing that can be measured. */
const delayResolutionMs = 10
const nsPerSecond = 1e9

/**
 * What every process tells of itself: event-loop delay since the last scrape, CPU seconds and memory. Labelled with
 * `process` and `pid`, because a sum over processes would hide the one that is stuck.
 */
export function registerProcessMetrics(registry: Registry, process_: 'primary' | 'http' | 'persister'): void {
  const labels = { process: process_, pid: String(process.pid) }
  const labelNames = ['process', 'pid'] as const
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs })
  delay.enable()

  const delayGauge = new Gauge({
    name: 'hotcakes_event_loop_delay_seconds',
    help: 'Delay of the event loop since the last scrape, beyond the sampling interval.',
    labelNames: [...labelNames, 'percentile'] as const,
    registers: [registry],
    collect() {
      for (const percentile of [50, 99] as const) {
        delayGauge.set({ ...labels, percentile }, delaySeconds(delay.percentile(percentile)))
      }
      delayGauge.set({ ...labels, percentile: 100 }, delaySeconds(delay.max))
      delay.reset()
    },
  })
  const cpuGauge = new Gauge({
    name: 'hotcakes_process_cpu_seconds',
    help: 'CPU time that the process has used since it started, by mode.',
    labelNames: [...labelNames, 'mode'] as const,
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage()
      cpuGauge.set({ ...labels, mode: 'user' }, user / 1e6)
      cpuGauge.set({ ...labels, mode: 'system' }, system / 1e6)
    },
  })
  const memoryGauge = new Gauge({
    name: 'hotcakes_process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    labelNames,
    registers: [registry],
    collect() {
      memoryGauge.set(labels, process.memoryUsage.rss())
    },
  })
}

/** Out of a sample in ns, which includes the sampling interval itself. */
function delaySeconds(sampleNs: number): number {
  return Math.max(0, sampleNs / nsPerSecond - delayResolutionMs / 1_000)
}

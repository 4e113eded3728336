import { residentBytesBelow, roleOf } from '../harness/process-cpu.ts'
import { type RunningHotcakes, startHotcakes } from '../harness/server-under-test.ts'
import { askSale, drained } from '../load/server-view.ts'
import { auditVerdict } from '../load/target.ts'
import { UseWatch } from '../load/use-watch.ts'
import type { AuditResult } from '../report/report.ts'
import { Generator } from './generator.ts'
import type { Phase, PhaseResult } from './phase-record.ts'
import { type Pinning, pin } from './pinning.ts'
import { recoveredAfterMs, type Slice } from './slices.ts'

export interface Plan {
  /** Length of the overload. */
  readonly seconds: number
  /** Times the peak that is offered. */
  readonly times: number
  readonly connections: number
  readonly workers: number
  readonly deadlineMs: number
  readonly pinning: Pinning | undefined
  /** Each phase but the overload takes a second: only to see that it works. */
  readonly isSmoke: boolean
}

export interface OverloadResult {
  /** The best of the closed loops that looked for it. */
  readonly peak: PhaseResult
  readonly probes: readonly PhaseResult[]
  readonly before: PhaseResult
  readonly overload: PhaseResult
  readonly after: PhaseResult
  readonly slices: readonly Slice[]
  /** From the end of the overload; `undefined`: not seen. */
  readonly recoveredAfterMs: number | undefined
  /** Bytes by role when the overload began, in its middle, and when it ended. */
  readonly residentBytes: readonly Readonly<Record<string, number>>[]
  /** In cores, in the overload. */
  readonly serverCores: Readonly<Record<string, number>>
  /** Used by neither server nor generator, in cores, in the overload: a quiet machine has next to nothing here. */
  readonly othersCores: number | undefined
  readonly isUsedUp: boolean
  readonly drainSeconds: number | undefined
  readonly audit: AuditResult
}

const items = 1_000_000
const probeSeconds = 5
const probeConnections = [64, 256, 1_024]
/** A load that the server bears easily, before and after: what it is like when all is well. */
const calmShare = 0.5
const calmSecondsUsual = 10
const drainMsMax = 300_000

export function acceptedPerSecond({ accepted, seconds }: PhaseResult): number {
  return accepted / seconds
}

/** @throws what keeps it from being run at all */
export async function runExperiment(plan: Plan, say: (text: string) => void): Promise<OverloadResult> {
  const server = await startHotcakes({
    APP_WORKERS: String(plan.workers),
    APP_DEADLINE_MS: String(plan.deadlineMs),
    APP_CONNECTIONS_PER_ADDRESS_MAX: '0', // all of them come from one
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: '1000',
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  })
  const generator = await Generator.start()
  try {
    if (plan.pinning !== undefined) {
      pin(server.pid, plan.pinning.server)
      pin(generator.pid, plan.pinning.generator)
    }
    const { id: sale } = await askSale(server.url)
    generator.open({ url: server.url, stock: { sale, items }, connections: plan.connections })
    const probes = await findPeak(generator, plan, say)
    const peak = probes.reduce((best, each) => (each.accepted > best.accepted ? each : best))
    const measured = await overload({ server, generator, plan, peak: acceptedPerSecond(peak), say })
    generator.stop()
    say('the log is drained and audited')
    const drainSeconds = await drained(server.url, drainMsMax, new AbortController().signal)
    return { ...measured, peak, probes, drainSeconds, audit: await auditVerdict(server) }
  } finally {
    generator.stop()
    await server.stop()
  }
}

function probe(connections: number, seconds: number): Phase {
  return { name: `closed loop of ${connections}`, seconds, rate: 0, connections }
}

/** More connections mean larger batches, and at some point longer queues: the peak is where it is. */
async function findPeak(
  generator: Generator,
  plan: Plan,
  say: (text: string) => void,
): Promise<readonly PhaseResult[]> {
  const seconds = plan.isSmoke ? 1 : probeSeconds
  const warmUp = { ...probe(256, seconds), name: 'warm-up' }
  const counts = [...new Set(probeConnections.map((count) => Math.min(count, plan.connections)))]
  const { results } = await generator.run([warmUp, ...counts.map((count) => probe(count, seconds))], say)
  return results.slice(1)
}

interface OverloadParts {
  readonly server: RunningHotcakes
  readonly generator: Generator
  readonly plan: Plan
  readonly peak: number
  readonly say: (text: string) => void
}

async function overload({ server, generator, plan, peak, say }: OverloadParts) {
  const { connections, seconds, times } = plan
  const calmSeconds = plan.isSmoke ? 2 : calmSecondsUsual
  const calm = { name: 'calm before', seconds: calmSeconds, rate: peak * calmShare, connections }
  const phases = [calm, { name: 'overload', seconds, rate: peak * times, connections }, { ...calm, name: 'calm after' }]
  const residentBytes: Record<string, number>[] = []
  const look = (): void => void residentBytes.push(residentBytesBelow(server.pid, roleOf))
  const use = new UseWatch(server.pid)
  const { results, slices, isUsedUp } = await generator.run(phases, (name) => {
    say(name)
    if (name === 'overload') {
      look()
      setTimeout(look, seconds * 500)
      use.start()
    } else if (name === 'calm after') {
      look()
      use.end()
    }
  })
  const [before, during, after] = results as [PhaseResult, PhaseResult, PhaseResult]
  // Twice the calm before, and what a single late timer adds to that.
  const p99UsMax = Math.max(2 * before.acceptedFromDue.p99Us, before.acceptedFromDue.p99Us + 10_000)
  return {
    before,
    overload: during,
    after,
    slices,
    recoveredAfterMs: recoveredAfterMs(slices, (calmSeconds + seconds) * 1_000, p99UsMax),
    residentBytes,
    serverCores: Object.fromEntries(
      Object.entries(use.byRole() ?? {}).map(([role, { cpuSeconds }]) => [role, cpuSeconds / seconds]),
    ),
    othersCores: use.others([during.generatorCpuSeconds])?.cores,
    isUsedUp,
  }
}

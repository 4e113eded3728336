import { Fault, type FaultCode } from '../../core/faults.ts'
import { logStateIntervalMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { type Admission, admitShards } from '../../core/recovery/admission.ts'
import type { RecordDatabase } from '../../core/recovery/record-head.ts'
import type { Finding, RunGuard } from './run-guard.ts'

export interface AdmissionsOptions {
  /** One for each shard, by its number. */
  readonly guards: readonly RunGuard[]
  readonly database: RecordDatabase
  /** How long after its end Redis keeps a sale. */
  readonly ttlSeconds: number
  readonly log: Log
  /** A shard was rebuilt. */
  readonly onRecovery: (shard: number) => void
}

/**
 * Has the shards admitted that wait for it, all together: each has to know of the others what rights it has lent them, so a Redis
 * or a cluster that restarts as a whole would otherwise wait for itself.
 */
export class Admissions {
  readonly #options: AdmissionsOptions
  #running: Promise<void> | undefined
  /** Why the last attempt failed: said once. */
  #saidFault: FaultCode | undefined
  /** Since when another process is at it; undefined: none is. */
  #busySinceMs: number | undefined

  constructor(options: AdmissionsOptions) {
    this.#options = options
  }

  /**
   * One attempt; whoever calls while one is under way gets its end. Never rejects for a Fault.
   * @param options.mayRebuild false: what has lost something waits, as it would be in the way of a start
   */
  attempt({ mayRebuild }: { mayRebuild: boolean } = { mayRebuild: true }): Promise<void> {
    this.#running ??= this.#attempt(mayRebuild).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #attempt(mayRebuild: boolean): Promise<void> {
    const { guards, database, ttlSeconds, log } = this.#options
    // What has restarted together is found together.
    const findings = await Promise.all(guards.map((guard) => guard.look()))
    const waiting = guards.filter((guard, place) => guard.wants(findings[place] as Finding))
    if (waiting.length === 0) return
    try {
      const admissions = await admitShards({
        shards: guards.map((guard) => guard.atAdmission({ mayRebuild })),
        database,
        ttlSeconds,
        say: (progress) => log.info(progress),
      })
      this.#saidFault = undefined
      if (admissions === 'busy') {
        this.#busy(waiting)
        return
      }
      this.#done(admissions)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      for (const guard of waiting) guard.notAdmitted(error)
      this.#sayOnce(error)
    }
    this.#busySinceMs = undefined
  }

  #done(admissions: readonly Admission[]): void {
    const { guards, log, onRecovery } = this.#options
    for (const [place, admission] of admissions.entries()) {
      guards[place]?.told(admission)
      if (admission.kind === 'rebuilt') {
        onRecovery(admission.shard)
        log.warn(admission, 'the live sales were rebuilt from Postgres')
      } else if (admission.kind === 'admitted') {
        log.info({ shard: admission.shard, epoch: admission.epoch }, 'a run of Redis was admitted')
      }
    }
  }

  /** Mostly it is done a moment later. A rebuild takes longer. */
  #busy(waiting: readonly RunGuard[]): void {
    this.#busySinceMs ??= performance.now()
    if (performance.now() - this.#busySinceMs < logStateIntervalMs) return
    for (const guard of waiting) guard.notAdmitted('another process admits or rebuilds shards')
  }

  #sayOnce({ code, message: reason }: Fault): void {
    const { log } = this.#options
    if (code !== this.#saidFault)
      log.warn({ code, reason }, 'Redis could not be admitted or rebuilt: it is tried again')
    this.#saidFault = code
  }
}

import { setTimeout as delay } from 'node:timers/promises'
import { Fault, type FaultCode } from '../../core/faults.ts'
import { logStateIntervalMs, recordLookMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { compareLogPositions, type LogPosition } from '../../core/log-position.ts'
import { type RecordDatabase, readRecordHead } from '../../core/recovery/record-head.ts'
import { type Recovery, recover } from '../../core/recovery/recover.ts'
import { judge, type Verdict } from '../../core/recovery/verdict.ts'
import type { SaleStore } from '../../core/redis/sale-store.ts'
import { type ShardState, shardStates } from '../../core/shard-state.ts'
import type { RunCheck } from './run-check.ts'

/** In the place of an admitted run: no Redis has it, nor a connection that doesn't know its own yet (''). */
const noRun = '-'

export interface RunGuardOptions {
  readonly store: SaleStore
  readonly runCheck: Pick<RunCheck, 'assert'>
  /** For a comparison, which is quick, and for a rebuild. */
  readonly database: RecordDatabase
  readonly rebuildDatabase: RecordDatabase
  readonly log: Log
  /** Whether a Redis that has lost something is rebuilt without being asked. */
  readonly isAutomatic: boolean
  /** How long after its end Redis keeps a sale. */
  readonly ttlSeconds: number
  /** The newest log entry that this server has answered: what is known, and after asking everybody. */
  readonly newestSeen: () => LogPosition | undefined
  readonly gatherSeen: () => Promise<LogPosition | undefined>
  readonly onState: (state: ShardState) => void
  readonly onRecovery: () => void
}

/** The run of Redis that a look is at, and the history that its data belong to. */
interface AskedRun {
  readonly run: string
  readonly replicationId: string
}

/**
 * Sees to it that a shard's sales are only decided by a Redis that has forgotten nothing. A run of Redis decides once it was
 * admitted here (admission.lua holds the lock); this looks whether each new one is set up to keep what it acknowledges and
 * compares it with Postgres and with what was answered, and looks once a second whether the admitted one is still what it
 * was.
 */
export class RunGuard {
  readonly #options: RunGuardOptions
  readonly #stopping = new AbortController()
  #state: ShardState = { status: 'unverified' }
  /** Of the Redis that was last found sound: it changes when the data was exchanged below the same run. */
  #replicationId: string | undefined

  /** Why the last rebuild failed: said once. */
  #rebuildFault: FaultCode | undefined

  constructor(options: RunGuardOptions) {
    this.#options = options
  }

  /** The first comparison. @throws Fault when a person has to decide: then there is nothing to start for */
  async start(): Promise<void> {
    const verdict = await this.#look()
    if (verdict?.kind === 'refused') throw verdict.fault
  }

  /** Compares, and recovers where it is to, until `stop()`. Never rejects for a Fault. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    let verdict: Verdict | undefined
    while (!signal.aborted) {
      const pauseMs = verdict === undefined ? recordLookMs : logStateIntervalMs
      await delay(pauseMs, undefined, { signal }).catch(() => undefined) // stopped
      if (signal.aborted) return
      verdict = await this.#look()
      if (verdict?.kind === 'lost' && this.#options.isAutomatic) await this.#recover()
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** undefined: Redis or Postgres could not be asked. Never rejects for a Fault. */
  async #look(): Promise<Verdict | undefined> {
    try {
      const { store } = this.#options
      // In this order: if the connection leads to another run after a question, the old one is admitted there, which is none.
      const asked = { run: store.run, replicationId: await store.replicationId() }
      const unfit = await this.#unfitness()
      if (unfit !== undefined) return await this.#refuse(unfit)
      const isUnchanged = this.#state.status === 'sound' && (await this.#isUnchanged(asked))
      const verdict: Verdict = isUnchanged ? { kind: 'sound' } : await this.#compare(asked)
      if (verdict.kind !== 'new') return verdict
      // While another server begins the first epoch, the next look will tell.
      return (await this.#begin()) === 'busy' ? undefined : await this.#look()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const { code, message } = error
      // Where Redis is away there is nothing to judge, and everybody says so already.
      if (code !== 'HC_REDIS_UNAVAILABLE') this.#become({ status: 'unverified', fault: code, reason: message })
      return undefined
    }
  }

  /** Why this run of Redis may not decide, whatever it holds. @throws Fault HC_REDIS_UNAVAILABLE */
  async #unfitness(): Promise<Fault | undefined> {
    try {
      await this.#options.runCheck.assert()
      return undefined
    } catch (error) {
      if (!(error instanceof Fault) || error.code === 'HC_REDIS_UNAVAILABLE') throw error
      return error
    }
  }

  /** An admitted run decides no more; the next one, or this one when it was mended, is compared anew. */
  async #refuse(fault: Fault): Promise<Verdict> {
    const wasSold = this.#state.status === 'sound'
    this.#become({ ...faultFields(fault), status: 'refused' })
    if (wasSold) await this.#withdraw()
    return { kind: 'refused', fault }
  }

  /** Once, or of two servers one that does without what the other one requires would be in its way for ever. */
  async #withdraw(): Promise<void> {
    const { store } = this.#options
    try {
      const { epoch, recordId } = await store.logState()
      if (epoch !== undefined && recordId !== undefined) await store.admit({ run: noRun, epoch, recordId })
    } catch (error) {
      // Whoever lacks the rights to withdraw it lacks those that a batch needs before its first write.
      if (!(error instanceof Fault)) throw error
    }
  }

  /** Whether it is the same Redis as it was found sound, with everything that was answered since. */
  async #isUnchanged({ run, replicationId }: AskedRun): Promise<boolean> {
    const { store, newestSeen } = this.#options
    const seen = newestSeen()
    const { epoch, admittedRun, last } = await store.logState()
    const hasAll = seen === undefined || compareLogPositions(last, seen) >= 0
    return epoch !== undefined && admittedRun === run && hasAll && replicationId === this.#replicationId
  }

  async #compare({ run, replicationId }: AskedRun): Promise<Verdict> {
    const { store, database, gatherSeen, isAutomatic } = this.#options
    const { shard } = store
    const seen = await gatherSeen()
    const before = await readRecordHead(database, shard)
    const redis = await store.logState()
    const verdict = judge({ redis, before, after: await readRecordHead(database, shard), seen })
    switch (verdict.kind) {
      case 'sound':
        await store.admit({ run, epoch: redis.epoch ?? 0, recordId: before.id })
        this.#replicationId = replicationId
        this.#become({ status: 'sound' })
        break
      case 'lost':
        // Where this run was admitted before, or the next server would know less of what was answered.
        if (redis.epoch !== undefined) await store.fence(redis.epoch)
        this.#become({ ...faultFields(verdict.fault), status: isAutomatic ? 'recovering' : 'lost' })
        break
      case 'refused':
        this.#become({ ...faultFields(verdict.fault), status: 'refused' })
        break
      case 'new':
    }
    return verdict
  }

  async #begin(): Promise<Recovery['kind']> {
    const { store, rebuildDatabase: database, ttlSeconds } = this.#options
    const { kind } = await recover({ store, database, ttlSeconds, seen: undefined, say: () => undefined })
    return kind
  }

  async #recover(): Promise<void> {
    const { store, rebuildDatabase: database, ttlSeconds, log, newestSeen, onRecovery } = this.#options
    try {
      const say = (progress: string): void => log.info(progress)
      const recovery = await recover({ store, database, ttlSeconds, seen: newestSeen(), say })
      if (recovery.kind !== 'rebuilt') return // not possible yet, or no longer needed: the next look will tell
      this.#rebuildFault = undefined
      onRecovery()
      log.warn(recovery, 'the live sales were rebuilt from Postgres')
      await this.#look()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const { code, message: reason } = error
      if (code !== this.#rebuildFault) log.warn({ code, reason }, 'Redis could not be rebuilt: it is tried again')
      this.#rebuildFault = code
    }
  }

  /** Says each change once. */
  #become(state: ShardState): void {
    const { log, onState } = this.#options
    const from = this.#state
    this.#state = state
    if (state.status === from.status && state.fault === from.fault) return
    const { status, fault: code, reason } = state
    log.debug({ shard: this.#options.store.shard, from: from.status, to: status, code }, 'a shard changed its state')
    onState(state)
    const wasSold = from.status === 'sound'
    if (status === 'sound') log.info('Redis has everything that is on record: it may decide')
    else if (status === 'unverified') log.warn({ code, reason }, 'Redis could not be compared with Postgres yet')
    else log.error({ code, wasSold }, `${reason}. ${shardStates[status].whatNext}`)
  }
}

function faultFields({ code, message }: Fault): { fault: FaultCode; reason: string } {
  return { fault: code, reason: message }
}

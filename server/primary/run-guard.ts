import { setTimeout as delay } from 'node:timers/promises'
import { Fault, type FaultCode } from '../../core/faults.ts'
import { logStateIntervalMs, misledReconnectMs, recordLookMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { compareLogPositions, type LogPosition } from '../../core/log-position.ts'
import type { Admission } from '../../core/recovery/admission.ts'
import type { ShardAtAdmission } from '../../core/recovery/candidate.ts'
import { noRun, type Queries, readRecordHead } from '../../core/recovery/record-head.ts'
import { type Asked, replacedFault, standingOf } from '../../core/recovery/standing.ts'
import { judge, type RecordHead } from '../../core/recovery/verdict.ts'
import type { LogState, SaleStore } from '../../core/redis/sale-store.ts'
import { type ShardState, shardStates } from '../../core/shard-state.ts'
import type { RunCheck } from './run-check.ts'

export interface RunGuardOptions {
  readonly store: SaleStore
  readonly runCheck: Pick<RunCheck, 'assert'>
  readonly database: Queries
  readonly log: Log
  /** Whether a Redis that has lost something is rebuilt without being asked. */
  readonly isAutomatic: boolean
  /** The newest log entry that this server has answered: what is known, and after asking everybody. */
  readonly newestSeen: () => LogPosition | undefined
  readonly gatherSeen: () => Promise<LogPosition | undefined>
  readonly onState: (state: ShardState) => void
}

/**
 * What a look has found. waiting: Redis has everything, and waits to be admitted; unknown: Redis or Postgres could not be asked.
 * The others as the states of the same names.
 */
export type Finding =
  | { readonly kind: 'sound' | 'waiting' | 'unknown' }
  | { readonly kind: 'lost' | 'refused'; readonly fault: Fault }

/** The Redis that was last found sound. */
interface SoundRedis extends Asked {
  readonly epoch: number | undefined
}

/**
 * Sees to it that a shard's sales are only decided by a Redis that has forgotten nothing. A run of Redis decides once Postgres
 * and Redis name it (admission.lua holds the lock). This looks whether each new one is set up to keep what it acknowledges,
 * compares it with Postgres and with what was answered, and looks once a second whether the admitted one is still what it
 * was, and still the one that Postgres names.
 */
export class RunGuard {
  readonly #options: RunGuardOptions
  readonly #stopping = new AbortController()
  #state: ShardState = { status: 'unverified' }
  #sound: SoundRedis | undefined
  /** The run that was last found to be set up as it must be. */
  #fitRun = ''
  /** The data were exchanged below the same run: what it has decided under its epoch may be forgotten. */
  #isExchanged = false
  #looking: Promise<Finding> | undefined
  /** When it last left a Redis that was replaced. */
  #reconnectedMs = -misledReconnectMs

  constructor(options: RunGuardOptions) {
    this.#options = options
  }

  /**
   * Looks, and has admitted what waits for it, until `stop()`. Never rejects for a Fault.
   * @param admit for all shards that wait, this one among them
   */
  async run(admit: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    let pauseMs = recordLookMs
    while (!signal.aborted) {
      await delay(pauseMs, undefined, { signal }).catch(() => undefined) // stopped
      if (signal.aborted) return
      let finding = await this.look()
      if (this.wants(finding)) {
        await admit()
        finding = await this.look()
      }
      const isToldSoon = finding.kind === 'unknown' || (finding.kind === 'waiting' && this.#state.fault === undefined)
      pauseMs = isToldSoon ? recordLookMs : logStateIntervalMs
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  get state(): ShardState {
    return this.#state
  }

  /** Whether an admission could help. */
  wants({ kind }: Finding): boolean {
    return kind === 'waiting' || (kind === 'lost' && this.#options.isAutomatic)
  }

  /** Whoever calls while a look is under way gets what it finds. Never rejects for a Fault. */
  look(): Promise<Finding> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** How it goes into an admission, by its last look. */
  atAdmission({ mayRebuild }: { mayRebuild: boolean }): ShardAtAdmission {
    const { store, isAutomatic, newestSeen } = this.#options
    const isFit = store.isUp && store.run === this.#fitRun
    const may = !isFit ? 'ask' : isAutomatic && mayRebuild ? 'rebuild' : 'admit'
    return { store, seen: newestSeen(), may, isExchanged: this.#isExchanged }
  }

  /** What came of it, where its next look will not find that by itself. */
  told(admission: Admission): void {
    if (admission.kind === 'waits' && this.#state.status !== 'recovering' && this.#state.status !== 'lost')
      this.#become({ ...faultFields(admission.fault), status: 'unverified' })
  }

  /** An admission has failed, or is left to another process for long: it may be any shard's fault. */
  notAdmitted(reason: Fault | string): void {
    if (this.#state.status === 'recovering' || this.#state.status === 'lost') return
    if (typeof reason === 'string') this.#become({ status: 'unverified', reason })
    // Where Redis is away everybody says so already.
    else if (reason.code !== 'HC_REDIS_UNAVAILABLE') this.#become({ ...faultFields(reason), status: 'unverified' })
  }

  async #look(): Promise<Finding> {
    try {
      const { store } = this.#options
      // In this order: if the connection leads to another run after a question, the old one is admitted there, which is none.
      const asked = { run: store.run, history: await store.history() }
      const unfit = await this.#unfitness()
      if (unfit !== undefined) return await this.#refuse(unfit)
      this.#fitRun = asked.run
      const isUnchanged = this.#state.status === 'sound' && (await this.#isUnchanged(asked))
      return isUnchanged ? { kind: 'sound' } : await this.#compare(asked)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const { code, message } = error
      // Where Redis is away there is nothing to judge, and everybody says so already.
      if (code !== 'HC_REDIS_UNAVAILABLE') this.#become({ status: 'unverified', fault: code, reason: message })
      return { kind: 'unknown' }
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
  async #refuse(fault: Fault): Promise<Finding> {
    const wasSold = this.#state.status === 'sound'
    this.#fitRun = ''
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

  /** Whether it is the same Redis as it was found sound, with everything that was answered since, and Postgres names it. */
  async #isUnchanged(asked: Asked): Promise<boolean> {
    const { store, newestSeen } = this.#options
    const seen = newestSeen()
    const redis = await store.logState()
    const hasAll = seen === undefined || compareLogPositions(redis.last, seen) >= 0
    const isSame = redis.epoch !== undefined && redis.epoch === this.#sound?.epoch && redis.admittedRun === asked.run
    if (!isSame || !hasAll || asked.history.id !== this.#sound?.history.id) return false
    return await this.#isStillNamed(asked, redis)
  }

  /** While Postgres can't be asked, what it said last holds. */
  async #isStillNamed(asked: Asked, redis: LogState): Promise<boolean> {
    const { store, database } = this.#options
    try {
      const head = await readRecordHead(database, store.shard, { run: asked.run })
      return standingOf(asked, redis, head) === 'admitted'
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return true
    }
  }

  async #compare(asked: Asked): Promise<Finding> {
    const { store, database, gatherSeen } = this.#options
    const { run } = asked
    const { shard } = store
    const seen = await gatherSeen()
    const before = await readRecordHead(database, shard, { run })
    const redis = await store.logState()
    const after = await readRecordHead(database, shard, { run })
    const standing = standingOf(asked, redis, after)
    if (standing === 'replaced') return await this.#fenceOff(after, redis)
    const verdict = judge({ redis, before, after, seen })
    switch (verdict.kind) {
      case 'new':
        return { kind: 'waiting' }
      case 'sound':
        this.#isExchanged = this.#isOtherHistory(asked, redis)
        return standing === 'admitted' && !this.#isExchanged ? this.#found(asked, redis, after) : { kind: 'waiting' }
      case 'lost':
        return await this.#lost(verdict.fault, redis)
      case 'refused':
        this.#become({ ...faultFields(verdict.fault), status: 'refused' })
        return verdict
    }
  }

  /** Of the same run in the same epoch: nobody has begun another one since the data were exchanged. */
  #isOtherHistory({ run, history }: Asked, { epoch }: LogState): boolean {
    const sound = this.#sound
    return sound?.run === run && sound.epoch === epoch && sound.history.id !== history.id
  }

  #found(asked: Asked, { epoch }: LogState, { epochs }: RecordHead): Finding {
    this.#sound = { ...asked, epoch }
    const begun = epochs.at(-1)
    this.#become({ status: 'sound', ...(begun && { epoch: { number: begun.epoch, after: begun.after ?? null } }) })
    return { kind: 'sound' }
  }

  async #lost(fault: Fault, { epoch }: LogState): Promise<Finding> {
    const { store, isAutomatic } = this.#options
    // Where this run was admitted before, or the next server would know less of what was answered.
    if (epoch !== undefined) await store.fence(epoch)
    this.#become({ ...faultFields(fault), status: isAutomatic ? 'recovering' : 'lost' })
    return { kind: 'lost', fault }
  }

  /** It is a master that was replaced. It decides no more for anybody, and the next connection may lead to the other. */
  async #fenceOff(head: RecordHead, redis: LogState): Promise<Finding> {
    const { store } = this.#options
    const fault = replacedFault(head)
    this.#become({ ...faultFields(fault), status: 'refused' })
    if (redis.admittedRun === store.run) await this.#withdraw()
    const nowMs = performance.now()
    if (nowMs - this.#reconnectedMs >= misledReconnectMs) {
      this.#reconnectedMs = nowMs
      store.redis.disconnect(true)
    }
    return { kind: 'refused', fault }
  }

  /** Says each change once. */
  #become(state: ShardState): void {
    const { log, onState, store } = this.#options
    const from = this.#state
    this.#state = state
    const isOther = state.status !== from.status || state.fault !== from.fault
    if (!isOther && state.epoch?.number === from.epoch?.number) return
    const { status, fault: code, reason } = state
    onState(state)
    if (!isOther) return
    log.debug({ shard: store.shard, from: from.status, to: status, code }, 'a shard changed its state')
    const wasSold = from.status === 'sound'
    if (status === 'sound') log.info('Redis has everything that is on record: it may decide')
    else if (code === 'HC_SHARD_AWAITED')
      log.warn({ code, reason }, 'Redis has everything that is on record, and waits')
    else if (status === 'unverified') log.warn({ code, reason }, 'Redis could not be compared with Postgres yet')
    else log.error({ code, wasSold }, `${reason}. ${shardStates[status].whatNext}`)
  }
}

function faultFields({ code, message }: Fault): { fault: FaultCode; reason: string } {
  return { fault: code, reason: message }
}

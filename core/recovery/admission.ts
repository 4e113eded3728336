import { Fault } from '../faults.ts'
import { rebuildLockMsMax } from '../limits.ts'
import { recoveryLock } from '../postgres/advisory-locks.ts'
import { RebuildWriter } from '../redis/rebuild-writer.ts'
import type { ShardEpoch } from '../redis/rights-store.ts'
import type { SaleStore } from '../redis/sale-store.ts'
import { type Candidate, lookAt, type ShardAtAdmission } from './candidate.ts'
import { endOfLog } from './log-chain.ts'
import { type Rebuilt, rebuild } from './rebuild.ts'
import { beginEpoch, noRun, type Queries, type RecordDatabase, readRecordHead, setOffset } from './record-head.ts'
import { exchangeRights } from './rights-exchange.ts'

/** Where an admission may be cut short: a test dies at each. */
export const admissionSteps = [
  'locked',
  'rebuilt',
  'withdrawn',
  'before_named',
  'named',
  'exchanged',
  'before_admitted',
  'admitted',
] as const
export type AdmissionStep = (typeof admissionSteps)[number]

export interface AdmissionOptions {
  /** All of the installation. */
  readonly shards: readonly ShardAtAdmission[]
  /** Needs two connections at once: one holds the lock. */
  readonly database: RecordDatabase
  /** How long after its end Redis keeps a sale. */
  readonly ttlSeconds: number
  /** Progress, as sentences for people. */
  readonly say: (progress: string) => void
  /** Called at each step. */
  readonly reached?: (step: AdmissionStep) => void
}

/**
 * What came of a shard: it decides already (unneeded), or from now on (begun: Redis and Postgres were empty; admitted; rebuilt);
 * or it doesn't: see Candidate, or it waits for others.
 */
export type Admission = { readonly shard: number } & (
  | { readonly kind: 'unneeded' }
  | { readonly kind: 'begun' | 'admitted'; readonly epoch: number }
  | ({ readonly kind: 'rebuilt'; readonly epoch: number; readonly seconds: number } & Rebuilt)
  | { readonly kind: 'waits'; readonly fault: Fault }
  | { readonly kind: 'undrained'; readonly entries: number }
  | { readonly kind: 'out' | 'declared_lost'; readonly fault: Fault }
)

type FoundAt<Places extends Candidate['place']> = Extract<Candidate, { readonly place: Places }>

/** A shard that is to decide, with the epoch that it gets. */
interface Joining {
  readonly candidate: FoundAt<'whole' | 'new' | 'lost'>
  readonly epoch: number
  readonly rebuilt: (Rebuilt & { readonly writer: RebuildWriter; readonly seconds: number }) | undefined
}

/**
 * Lets the shards decide that may, each in an epoch of its own: those whose Redis has everything as it is, those whose Redis has
 * lost something after a rebuild. First Postgres names the runs and says where the epochs before ended; then the shards tell each
 * other of the rights that they have lent; then Redis is told. Any number of processes may call it at any time, and it may be
 * cut short anywhere: nobody decides then who was not named, and the next call sets it right.
 * @returns of each shard what came of it; 'busy': another process is at it
 * @throws Fault
 */
export async function admitShards(options: AdmissionOptions): Promise<readonly Admission[] | 'busy'> {
  const { database } = options
  // One hold of the lock over all transactions: of two servers that try at once one does all of it.
  return await database.transaction(async (session) => {
    const text = 'select pg_try_advisory_xact_lock($1, $2) as mine'
    const [lock] = await session.query<{ mine: boolean }>({ text }, recoveryLock)
    return lock?.mine === true ? await new Admitting(options).run() : 'busy'
  })
}

class Admitting {
  readonly #options: AdmissionOptions
  readonly #reached: (step: AdmissionStep) => void
  #all: readonly Candidate[] = []

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#reached = options.reached ?? (() => undefined)
  }

  async run(): Promise<readonly Admission[] | 'busy'> {
    const { database } = this.#options
    this.#reached('locked')
    const joining = await database.transaction((session) => this.#name(session))
    if (joining.length > 0) this.#reached('named')
    const isDone = joining.length === 0 || (await database.transaction((session) => this.#admit(session, joining)))
    return isDone ? this.#all.map((candidate) => this.#resultOf(candidate, joining)) : 'busy'
  }

  /** The first transaction: what Postgres has to know before anybody decides. */
  async #name(session: Queries): Promise<readonly Joining[]> {
    await session.query({ text: `set local lock_timeout = ${rebuildLockMsMax}` })
    const all: Candidate[] = []
    // In their order, as everybody locks their rows. From here on no persister commits.
    for (const shard of this.#options.shards) all.push(await lookAt(session, shard))
    this.#all = all
    for (const candidate of all) await this.#letDrain(session, candidate)
    if (this.#awaited.length > 0) return []

    const joining: Joining[] = []
    // The long part first: while it lasts, a run that was let decide by others may go on.
    for (const candidate of all) {
      if (isAt(candidate, ['lost'])) joining.push(await this.#rebuild(session, candidate))
    }
    for (const candidate of all) {
      if (isAt(candidate, ['whole', 'new'])) joining.push(await this.#nameWhole(session, candidate))
    }
    if (joining.length > 0) this.#reached('before_named')
    return joining
  }

  /** Those that neither decide nor could from now on: their rights are not known. */
  get #awaited(): readonly FoundAt<'undrained' | 'out'>[] {
    return this.#all.filter((candidate) => isAt(candidate, ['undrained', 'out']))
  }

  /** What is copied has to come from the run that Postgres names. This one decides nothing: its epoch is lost. */
  async #letDrain(session: Queries, candidate: Candidate): Promise<void> {
    const { head, run, epoch, shard } = candidate
    if (!isAt(candidate, ['undrained']) || head.run === run) return
    await beginEpoch(session, shard.store.shard, { epoch, run, after: endOfLog(candidate.redis.last, head) })
  }

  async #rebuild(session: Queries, candidate: FoundAt<'lost'>): Promise<Joining> {
    const { ttlSeconds, say } = this.#options
    const { store } = candidate.shard
    const { run, epoch, head } = candidate
    const startedMs = performance.now()
    const writer = new RebuildWriter(store)
    const rebuilt = await rebuild(session, { store, writer, recordId: head.id, ttlSeconds, say })
    await beginEpoch(session, store.shard, { epoch, run, after: undefined })
    this.#reached('rebuilt')
    return { candidate, epoch, rebuilt: { ...rebuilt, writer, seconds: (performance.now() - startedMs) / 1_000 } }
  }

  async #nameWhole(session: Queries, candidate: FoundAt<'whole' | 'new'>): Promise<Joining> {
    const { run, epoch, head } = candidate
    const { store } = candidate.shard
    let { redis } = candidate
    // Somebody has let it decide of whom Postgres doesn't know. Where its epoch ends must not move any more.
    if (redis.admittedRun === run && redis.epoch !== undefined) {
      await store.admit({ run: noRun, epoch: redis.epoch, recordId: head.id })
      redis = await store.logState()
      this.#reached('withdrawn')
    }
    await beginEpoch(session, store.shard, { epoch, run, after: endOfLog(redis.last, head) })
    return { candidate: { ...candidate, redis }, epoch, rebuilt: undefined }
  }

  /** The second one: they decide from its end on. @returns whether nobody else was named meanwhile */
  async #admit(session: Queries, joining: readonly Joining[]): Promise<boolean> {
    const accepts = await exchangeRights({
      session,
      joining: joining.map(({ candidate, epoch }) => ({ store: candidate.shard.store, epoch })),
      deciding: this.#all.filter(({ place }) => place === 'deciding').map(({ shard }) => shard.store),
      declaredLost: this.#all
        .filter(({ place }) => place === 'declared_lost')
        .map(({ shard, head }) => ({ shard: shard.store.shard, epoch: head.epochs.at(-1)?.epoch ?? 0 })),
      say: this.#options.say,
    })
    this.#reached('exchanged')
    await session.query({ text: `set local lock_timeout = ${rebuildLockMsMax}` })
    for (const { candidate, epoch } of joining) {
      const { run, shard } = candidate
      const head = await readRecordHead(session, shard.store.shard, { run, lock: true })
      if (head.run !== run || head.epochs.at(-1)?.epoch !== epoch) return false
    }
    this.#reached('before_admitted')
    for (const each of joining) await admitOne(session, each, accepts.get(each.candidate.shard.store.shard) ?? [])
    this.#reached('admitted')
    return true
  }

  #resultOf(candidate: Candidate, joining: readonly Joining[]): Admission {
    const { store } = candidate.shard
    const { shard } = store
    const joined = joining.find((each) => each.candidate.shard.store === store)
    if (joined?.rebuilt !== undefined) {
      const { sales, sold, held, seconds } = joined.rebuilt
      return { shard, kind: 'rebuilt', epoch: joined.epoch, sales, sold, held, seconds }
    }
    const { place } = candidate
    if (joined !== undefined) return { shard, kind: place === 'new' ? 'begun' : 'admitted', epoch: joined.epoch }
    switch (place) {
      case 'deciding':
        return { shard, kind: 'unneeded' }
      case 'undrained':
        return { shard, kind: 'undrained', entries: candidate.entries }
      case 'out':
      case 'declared_lost':
        return { shard, kind: place, fault: candidate.fault }
      case 'whole':
      case 'new':
      case 'lost':
        return { shard, kind: 'waits', fault: this.#whyWaiting() }
    }
  }

  #whyWaiting(): Fault {
    const reasons = this.#awaited.map((candidate) => {
      const why = candidate.place === 'undrained' ? 'its log is being drained' : candidate.fault.message
      return `shard ${candidate.shard.store.shard} (${why})`
    })
    const what = `nobody knows which rights of its buyers it has lent to ${reasons.join(', ')}`
    return new Fault('HC_SHARD_AWAITED', what)
  }
}

function isAt<Places extends Candidate['place']>(
  candidate: Candidate,
  places: readonly Places[],
): candidate is FoundAt<Places> {
  return (places as readonly string[]).includes(candidate.place)
}

/** In Redis. Whoever has changed anything there since it was looked at makes it fail. */
async function admitOne(session: Queries, joining: Joining, accepts: readonly ShardEpoch[]): Promise<void> {
  const { candidate, epoch, rebuilt } = joining
  const { run, redis, head, shard } = candidate
  const { store } = shard
  const recordId = head.id
  if (rebuilt !== undefined) {
    await rebuilt.writer.end(epoch, accepts)
  } else if (candidate.place === 'new') {
    await claim(store, { run, epoch, recordId })
    if (accepts.length > 0) await store.admit({ run, epoch, recordId, accepts })
    await setOffset(session, store.shard, epoch)
  } else {
    await store.admit({ run, epoch: redis.epoch ?? 0, recordId, begins: { epoch, after: redis.last }, accepts })
  }
}

async function claim(
  store: SaleStore,
  { run, epoch, recordId }: { run: string; epoch: number; recordId: string },
): Promise<void> {
  const isSame = store.run === run && (await store.claimEpoch(epoch, recordId)) === epoch
  if (!isSame) throw new Fault('HC_RECORD_UNSOUND', 'Redis was empty, and is not any more')
}

import { setTimeout as delay } from 'node:timers/promises'
import { BatchWriter, DecisionReader } from '../../core/decisions.ts'
import { NonceSource } from '../../core/ids.ts'
import { compareLogPositions, type LogPosition } from '../../core/log-position.ts'
import { committedPosition } from '../../core/postgres/committed-position.ts'
import { connectPostgres, type Postgres } from '../../core/postgres/connection.ts'
import { firstShard } from '../../core/shards.ts'
import { msPerSecond } from '../../core/time.ts'
import { embeddedPostgres } from '../harness/embedded-postgres.ts'
import { cpuSecondsBelow, roleOf } from '../harness/process-cpu.ts'
import { buyerName } from './full-sale.ts'
import { Mirror } from './mirror.ts'
import { Stage, saleIntervalSeconds } from './stage.ts'

export interface DrainPlan {
  readonly rounds: number
  /** Entries of the one backlog, rows of the other. */
  readonly size: number
}

/** One backlog, drained by the persister, and then the same rows copied by psql. */
export interface Drained {
  readonly entries: number
  readonly rows: number
  readonly persister: CopyCost
  readonly copy: CopyCost
}

export interface CopyCost {
  readonly seconds: number
  /** us of CPU a row, by role. */
  readonly cpuUs: ReadonlyMap<string, number>
}

export interface DrainResult {
  /** Backlog -> what was measured, one a round. */
  readonly backlogs: ReadonlyMap<string, readonly Drained[]>
  /** What copied the rows besides the persister. */
  readonly copier: string
  /** Tables that hold other rows than the record's. */
  readonly differing: readonly string[]
  readonly auditPassed: boolean
}

/** As many as a sale can have: a visit takes one. */
const items = 1_000_000
/** A checkout that holds, one of the same item that comes too late, and the purchase: four rows, one of them in purchases. */
const commandsPerVisit = 3
const rowsPerVisit = 4
/** A batch of a worker that has much to do. */
const visitsPerLargeEntry = 20
const callsAtOnce = 64
const pollMs = 10
const drainMsMax = 300_000

/** Rounds that a sale has items for. */
export function drainRoundsMax(size: number): number {
  return Math.floor(items / (size + Math.ceil(size / rowsPerVisit)))
}

interface Backlog {
  readonly name: string
  readonly entries: number
  readonly visitsPerEntry: number
}

function backlogsOf(size: number): Backlog[] {
  const shown = size.toLocaleString('en-US')
  const perLarge = visitsPerLargeEntry * rowsPerVisit
  return [
    {
      name: `${shown} rows, ${visitsPerLargeEntry * commandsPerVisit} commands an entry`,
      entries: Math.floor(size / perLarge),
      visitsPerEntry: visitsPerLargeEntry,
    },
    { name: `${shown} entries, ${commandsPerVisit} commands each`, entries: size, visitsPerEntry: 1 },
  ]
}

export async function measureDrains(
  { rounds, size }: DrainPlan,
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<DrainResult> {
  // It complains of the lock that keeps it from its work.
  const stage = await Stage.open({ name: 'drain', items, logLevel: 'silent' }, signal)
  let postgres: Postgres | undefined
  let mirror: Mirror | undefined
  try {
    const settings = embeddedPostgres(stage.server.hotcakes)
    postgres = connectPostgres(settings, { applicationName: 'hotcakes bench:growth' })
    await stage.drained()
    mirror = new Mirror(postgres, settings)
    const backlogs = backlogsOf(size)
    const measured = new Map<string, Drained[]>(backlogs.map(({ name }) => [name, []]))
    const visits = new Visits(stage, signal)
    for (let round = 1; round <= rounds; round++) {
      for (const backlog of backlogs) {
        const drained = await measureOnce(backlog, { stage, postgres, mirror, visits, signal })
        measured.get(backlog.name)?.push(drained)
        const rates = [drained.persister, drained.copy].map(({ seconds }) => Math.round(drained.rows / seconds))
        say(
          `${backlog.name}, round ${round}/${rounds}: persister ${rates[0]} rows/s, ${mirror.copier} ${rates[1]} rows/s\n`,
        )
      }
    }
    const differing = mirror.differing()
    mirror.drop()
    return { backlogs: measured, copier: mirror.copier, differing, auditPassed: await stage.server.audit(signal) }
  } finally {
    mirror?.close()
    postgres?.close()
    await stage.close()
  }
}

async function measureOnce(
  backlog: Backlog,
  parts: { stage: Stage; postgres: Postgres; mirror: Mirror; visits: Visits; signal: AbortSignal },
): Promise<Drained> {
  const { stage, postgres, mirror, visits, signal } = parts
  const { pid } = stage.server.hotcakes
  const after = committedPosition(postgres, firstShard)
  // Whoever moves the offset has its row: the persister waits in its transaction, and goes on at once when we leave.
  postgres.query('begin')
  postgres.query('select from log_offsets for update')
  await visits.make(backlog)
  const { last: through } = await stage.store.logState()
  const before = cpuSecondsBelow(pid, roleOf)
  const startedMs = performance.now()
  postgres.query('commit')
  await untilCommitted(postgres, through, signal)
  const seconds = (performance.now() - startedMs) / msPerSecond
  await stage.drained()
  const drained = cpuSecondsBelow(pid, roleOf)
  const rows = mirror.export(after, through)
  const beforeCopy = cpuSecondsBelow(pid, roleOf)
  const copySeconds = await mirror.copy(signal)
  const copied = cpuSecondsBelow(pid, roleOf)
  const cost = (from: ReadonlyMap<string, number>, to: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
    new Map([...to].map(([role, used]) => [role, ((used - (from.get(role) ?? 0)) * 1e6) / rows]))
  return {
    entries: backlog.entries,
    rows,
    persister: { seconds, cpuUs: cost(before, drained) },
    copy: { seconds: copySeconds, cpuUs: cost(beforeCopy, copied) },
  }
}

async function untilCommitted(postgres: Postgres, through: LogPosition, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + drainMsMax
  while (compareLogPositions(committedPosition(postgres, firstShard), through) < 0) {
    signal.throwIfAborted()
    if (performance.now() > deadlineMs) throw new Error(`the backlog was not drained within ${drainMsMax} ms`)
    await delay(pollMs)
  }
}

/** Buyers who come, buy, and keep another from it; each has an item of its own. */
class Visits {
  readonly #stage: Stage
  readonly #signal: AbortSignal
  readonly #nonces = new NonceSource()
  #made = 0

  constructor(stage: Stage, signal: AbortSignal) {
    this.#stage = stage
    this.#signal = signal
  }

  async make({ entries, visitsPerEntry }: Backlog): Promise<void> {
    let left = entries
    const makeInTurn = async (): Promise<void> => {
      for (; left > 0; ) {
        left -= 1
        this.#signal.throwIfAborted()
        await this.#entry(visitsPerEntry)
      }
    }
    await Promise.all(Array.from({ length: callsAtOnce }, makeInTurn))
  }

  async #entry(visits: number): Promise<void> {
    const { store, sale } = this.#stage
    const batch = new BatchWriter(saleIntervalSeconds * msPerSecond)
    const taken = Array.from({ length: visits }, () => ({ item: ++this.#made, nonce: this.#nonces.next() }))
    for (const { item, nonce } of taken) {
      batch.add(sale, String(item), nonce, buyerName(item))
      batch.add(sale, String(item), this.#nonces.next(), `late-${item}`)
    }
    for (const { item, nonce } of taken) batch.add(sale, String(item), nonce, '')
    const decisions = new DecisionReader((await store.decide(batch.encode())).results)
    for (let n = 0; decisions.next(); n++) {
      const expected = n >= 2 * visits ? 'purchased' : n % 2 === 0 ? 'held' : 'item_held'
      if (decisions.outcome !== expected) throw new Error(`what should be ${expected} was ${decisions.outcome}`)
    }
  }
}

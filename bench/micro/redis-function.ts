import assert from 'node:assert/strict'
import { BatchWriter, DecisionReader } from '../../core/decisions.ts'
import type { Outcome } from '../../core/outcomes.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { firstShard } from '../../core/shards.ts'
import { startRedisChild } from '../harness/redis-child.ts'
import { intervalMs, type SampleCommand, sampleCommands } from './sample-sale.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

// A real Redis with appendfsync always and the real client: what a command costs from the call to its answer when so
// many arrive together, and what of that is Redis'. `Redis function` is the time inside FCALL by the clock, so on a busy
// machine also the time it waits for a core; `Redis CPU` is all of its process' (reading, the append-only file and its
// fsync, answering), `client CPU` this process'.

const users = 200_000
const itemsMax = 1_000_000_000
const commandsAtOnceMax = 256
const hourMs = 3_600_000
/** No hold ends while it is measured. */
const holdMs = 12 * hourMs
const ttlSeconds = 3_600
/** Of the log. */
const epoch = 1

/** The commands of a sample, cut into calls of `perCall` that all leave at once. */
class Desk {
  readonly #store: SaleStore
  readonly #sale: number
  readonly #perCall: number
  #commandCount = 0

  constructor(store: SaleStore, sale: number, perCall: number) {
    this.#store = store
    this.#sale = sale
    this.#perCall = perCall
  }

  /** Outcomes, in the order of the commands. `areSold`: the worker that sends them has seen their items sold. */
  async decide(commands: readonly SampleCommand[], { areSold = false } = {}): Promise<string[]> {
    const calls: Promise<{ results: Buffer }>[] = []
    for (let at = 0; at < commands.length; at += this.#perCall) {
      const writer = new BatchWriter(intervalMs, epoch)
      for (const { index, nonce, user } of commands.slice(at, at + this.#perCall)) {
        if (areSold) writer.addSold(this.#sale, index, nonce, user)
        else writer.add(this.#sale, index, nonce, user)
      }
      calls.push(this.#store.decide(writer.encode()))
    }
    return (await Promise.all(calls)).flatMap(({ results }) => outcomesOf(results))
  }

  /** So many checkouts of items that nobody has touched. */
  newCheckouts(count: number): SampleCommand[] {
    return Array.from({ length: count }, () => {
      const n = ++this.#commandCount
      return { sale: this.#sale, index: String(n), nonce: nonceOf(n), user: `user-${(n * 7_919) % users}` }
    })
  }
}

function nonceOf(n: number): string {
  return String(n).padStart(16, 'A')
}

function outcomesOf(results: Buffer): string[] {
  const decisions = new DecisionReader(results)
  const outcomes: string[] = []
  while (decisions.next()) outcomes.push(decisions.outcome)
  return outcomes
}

/** Of items 1 to 1000, which are held since the sale opened, or sold. */
const contestedCommands = sampleCommands(commandsAtOnceMax).map((command) => {
  return { ...command, index: String(1 + (Number(command.index) % 1_000)) }
})

interface Work {
  readonly name: string
  /** Items 1 to 1000 are sold before. */
  readonly areSold?: boolean
  /** `commandsAtOnce` commands; returns the outcomes of the last that were decided together. */
  readonly sample: (desk: Desk, commandsAtOnce: number) => Promise<string[]>
  /** What nearly all of those are: a sale that is closed by mistake would be decided very quickly. */
  readonly outcome: Outcome
}

const works: readonly Work[] = [
  {
    name: 'checkouts that get their item',
    sample: (desk, count) => desk.decide(desk.newCheckouts(count)),
    outcome: 'held',
  },
  {
    name: 'checkouts, then the purchases of their items',
    sample: async (desk, count) => {
      const held = desk.newCheckouts(count / 2)
      await desk.decide(held)
      return await desk.decide(held.map((one) => ({ ...one, user: '' })))
    },
    outcome: 'purchased',
  },
  {
    name: 'checkouts of items that others hold',
    sample: (desk, count) => desk.decide(contestedCommands.slice(0, count)),
    outcome: 'item_held',
  },
  {
    name: 'checkouts of items that were sold',
    areSold: true,
    sample: (desk, count) => desk.decide(contestedCommands.slice(0, count)),
    outcome: 'item_sold',
  },
  {
    name: 'checkouts of items that the worker knows to be sold',
    areSold: true,
    sample: (desk, count) => desk.decide(contestedCommands.slice(0, count), { areSold: true }),
    outcome: 'item_sold',
  },
]

/** What the reports show of Redis' and our own work; totals since the start, in us. */
async function meter(store: SaleStore): Promise<Record<string, number>> {
  const info = await store.redis.info('commandstats', 'cpu')
  const { user, system } = process.cpuUsage()
  const field = (pattern: RegExp): number => Number(pattern.exec(info)?.[1] ?? 0)
  return {
    'Redis function us': field(/cmdstat_fcall:calls=\d+,usec=(\d+)/),
    'Redis CPU us': (field(/used_cpu_user:([\d.]+)/) + field(/used_cpu_sys:([\d.]+)/)) * 1e6,
    'client CPU us': user + system,
  }
}

/** Items that hold still for all: some twice, some of another, some that don't exist. */
function probeCommands(count: number): SampleCommand[] {
  const commands = sampleCommands(count, { seed: 7 }).map((one, n) => ({ ...one, index: String(itemsMax - (n % 50)) }))
  const unknown = { ...commands[0], index: String(itemsMax + 1) } as SampleCommand
  const purchases = commands.slice(0, count / 2).map((one) => ({ ...one, user: '' }))
  return [...commands, unknown, ...purchases, ...purchases.slice(0, 3)]
}

interface CandidateOptions {
  readonly work: Work
  readonly perCall: number
  readonly commandsAtOnce: number
  /** Each candidate sells a sale of its own. */
  readonly sale: number
}

async function toCandidate(store: SaleStore, options: CandidateOptions): Promise<Candidate> {
  const { work, perCall, commandsAtOnce, sale } = options
  const nowMs = Date.now()
  const [opensAtMs, closesAtMs] = [nowMs - hourMs, nowMs + 24 * hourMs]
  await store.openSale(
    { sale, opensAtMs, closesAtMs, items: itemsMax, userLimit: 60_000, holdMs, shards: 1 },
    ttlSeconds,
  )
  const desk = new Desk(store, sale, perCall)
  const first = desk.newCheckouts(1_000)
  await desk.decide(first)
  if (work.areSold === true) await desk.decide(first.map((one) => ({ ...one, user: '' })))
  const outcomes = await work.sample(desk, commandsAtOnce)
  const expected = outcomes.filter((outcome) => outcome === work.outcome)
  assert.ok(expected.length > 0.9 * outcomes.length, `${work.name} are not ${work.outcome}: ${outcomes.join(' ')}`)
  const calls = commandsAtOnce / perCall
  return {
    name: `${calls} ${calls === 1 ? 'call' : 'calls'} of ${perCall}`,
    isAsync: true,
    operations: commandsAtOnce,
    run: () => work.sample(desk, commandsAtOnce),
    result: () => desk.decide(probeCommands(commandsAtOnce)),
    // What nobody drains would only make Redis larger from round to round.
    prepare: async () => {
      await store.redis.call('XTRIM', store.keys.log, 'MAXLEN', '0')
    },
    meter: () => meter(store),
  }
}

async function* cases({ smoke }: Scale): AsyncIterable<Case> {
  const commandsAtOnce = smoke ? 16 : commandsAtOnceMax
  const sizes = smoke ? [1, 8] : [1, 8, 64, 256]
  const redis = await startRedisChild()
  const store = new SaleStore(redis.settings, { shard: firstShard, name: 'hotcakes-micro' })
  try {
    await store.connect()
    await store.claimEpoch(epoch)
    let sale = 0
    for (const work of works) {
      const candidates: Candidate[] = []
      for (const perCall of sizes) {
        candidates.push(await toCandidate(store, { work, perCall, commandsAtOnce, sale: ++sale }))
      }
      yield { name: work.name, operation: `command, of ${commandsAtOnce} at once`, candidates }
    }
  } finally {
    store.close()
    await redis.stop()
  }
}

export const redisFunction: Subject = {
  name: 'redis-function',
  about: 'the decision of a command on a real, durable Redis: a call each against calls of 8, 64 and 256',
  cases,
}

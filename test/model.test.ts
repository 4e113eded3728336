// Goal: the Redis function takes the decisions that the rules of DESIGN demand, in every order of commands.
// Method: random sequences of batches, with time passing in between (holds live 25 ms, one sale closes and another
// opens meanwhile), run against the real function and a plain reference model. The model is told only what time Redis
// read for the batch. Outcomes and their details must be equal, and so must the counters and what each buyer has at the
// end. Half of the checkouts of items that were seen sold are sent as such, as a worker does. The same again with
// a clock that steps back and forth between the batches, where besides nobody may ever have bought more than the limit, and no
// item may be sold twice.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterCode, BatchWriter, DecisionReader, type SaleTerms } from '../core/decisions.ts'
import { nonceLength } from '../core/ids.ts'
import { type Outcome, outcomes } from '../core/outcomes.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { decodeSnapshot } from '../ops/tools/audit/redis-side.ts'
import { SoldItems } from '../server/worker/selling/sold-items.ts'
import { seed } from './helpers/seed.ts'
import { commandTimeoutMs, openRedis, startRedis } from './helpers/services.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'
import { type Hold, type ModelCommand, type ModelDecision, ReferenceShop } from './model/reference-shop.ts'

const runs = Number(process.env['MODEL_RUNS'] ?? 150)
const intervalMs = 3_600_000
const holdMs = 25
const users = ['ann', 'bob:1', 'c@d.e']
const reached = new Map<Outcome, number>()
/** Checkouts that were sent as those of sold items, by what they got. */
const reachedAsSold = new Map<Outcome, number>()

const redis = await startRedis({ after })
const store = new SaleStore(redis.connection, { shard: firstShard, name: 'model-test', commandTimeoutMs })
before(async () => {
  await store.connect()
  await store.claimEpoch(1)
})
after(() => store.close())

/** Which of the run's sales a command names: the open one most of the time. */
const place = fc.oneof(
  { weight: 12, arbitrary: fc.constant('open' as const) },
  { weight: 3, arbitrary: fc.constantFrom('closing' as const, 'opening' as const) },
  { weight: 1, arbitrary: fc.constantFrom('gone' as const, 'unlisted' as const) },
)
const checkout = fc.record({
  kind: fc.constant('checkout' as const),
  place,
  index: fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom('1', '2', '3', '4') },
    fc.constantFrom('0', '5', '999999999999999'),
  ),
  user: fc.constantFrom(...users),
})
/** `pick` chooses among all nonces that any checkout offered so far, those of the same batch and of refused ones too. */
const purchase = fc.record({
  kind: fc.constantFrom('purchase' as const, 'purchase' as const, 'release' as const),
  pick: fc.nat({ max: 1_000 }),
  guess: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
  buyer: fc.option(fc.constantFrom(...users), { nil: undefined }),
})
const anyCommand = fc.oneof({ weight: 3, arbitrary: checkout }, { weight: 3, arbitrary: purchase })
const batch = fc.array(anyCommand, { minLength: 1, maxLength: 12 })
const pauseMs = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 40 }))
const scenario = fc.array(fc.record({ batch, pauseMs }), { minLength: 1, maxLength: 12 })
/** The steps of Redis' clock are about as long as a hold, now and then longer than the sale is open already. */
const stepMs = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: -holdMs - 10, max: holdMs + 10 }) },
  { weight: 1, arbitrary: fc.constantFrom(-6_000, 6_000) },
)
const smallBatch = fc.array(anyCommand, { minLength: 1, maxLength: 4 })
const steppedScenario = fc.record({
  userLimit: fc.constantFrom(1, 2),
  steps: fc.array(fc.record({ batch: smallBatch, stepMs }), { minLength: 8, maxLength: 20 }),
})

type Step = typeof batch extends fc.Arbitrary<(infer Command)[]> ? Command : never

/** An item is seen sold before its sale closes, and asked for as such afterwards: chance alone brings that too rarely. */
const soldThenClosed = (() => {
  const ask: Step = { kind: 'checkout', place: 'closing', index: '1', user: 'ann' }
  const redeem: Step = { kind: 'purchase', pick: 0, guess: false, buyer: undefined }
  const steps = [
    { batch: [ask], stepMs: -6_000 },
    // Further back: where the machine takes longer than a hold lasts, it would be over before its purchase.
    { batch: [redeem], stepMs: -5_000 },
    { batch: [ask], stepMs: 0 },
    { batch: [ask], stepMs: 11_000 },
    { batch: [ask], stepMs: 6_000 },
  ]
  return { userLimit: 1 as const, steps }
})()

interface Purchase {
  readonly item: string
  readonly user: string
}

let saleNext = 1_000

function openTerms(nowMs: number, userLimit: number): Record<'open' | 'closing' | 'opening', SaleTerms> {
  const common = { items: 4, userLimit, holdMs, shards: 1 }
  const day = 86_400_000
  return {
    open: { ...common, sale: saleNext++, opensAtMs: nowMs - 5_000, closesAtMs: nowMs + day },
    closing: { ...common, sale: saleNext++, opensAtMs: nowMs - day, closesAtMs: nowMs + 30 },
    opening: { ...common, sale: saleNext++, opensAtMs: nowMs + 30, closesAtMs: nowMs + day },
  }
}

function cutOffButAlive(shop: ReferenceShop, sale: number, nowMs: number): number {
  const open = [...shop.latestHolds(sale).values()].filter(
    (hold) => hold.purchasedAtMs === undefined && !hold.isReleased,
  )
  const isCutOff = (hold: Hold) => !shop.buyers(sale).get(hold.user)?.ends.includes(hold.expiresAtMs)
  return open.filter((hold) => hold.expiresAtMs > nowMs && isCutOff(hold)).length
}

/** Turns the symbolic commands into real ones; remembers every nonce that was ever offered. */
class CommandSource {
  readonly #sales: Record<string, number>
  readonly #offered: ModelCommand[] = []
  #nonceNext = 0

  constructor(sales: Record<string, number>) {
    this.#sales = sales
  }

  command(step: Step): ModelCommand {
    const nonce = String(this.#nonceNext++).padStart(nonceLength, 'n')
    if (step.kind === 'checkout') {
      const command = { sale: this.#sales[step.place] as number, index: step.index, nonce, user: step.user }
      this.#offered.push(command)
      return command
    }
    const of = this.#offered[step.pick % Math.max(1, this.#offered.length)]
    const { buyer } = step
    const common = { user: '', isRelease: step.kind === 'release', buyer }
    if (!of) return { sale: this.#sales['open'] as number, index: '1', nonce, ...common }
    return { ...of, nonce: step.guess ? nonce : of.nonce, ...common }
  }
}

function decisionOf(reader: DecisionReader): ModelDecision {
  const { outcome, nonce, user, expiresAtMs, purchasedAtMs } = reader
  const details: readonly string[] = outcomes[outcome].details
  return {
    outcome,
    ...(details.includes('nonce') ? { nonce } : {}),
    ...(details.includes('user') ? { user } : {}),
    ...(details.some((name) => name === 'hold_ms' || name === 'expires_in_ms') ? { expiresAtMs } : {}),
    ...(outcome === 'purchased' || outcome === 'purchased_again' ? { purchasedAtMs } : {}),
  }
}

/** @returns the purchases among them, and the time of all */
async function compare(
  { shop, sold }: { readonly shop: ReferenceShop; readonly sold: SoldItems },
  commands: readonly ModelCommand[],
): Promise<{ purchases: Purchase[]; nowMs: number }> {
  const writer = new BatchWriter(intervalMs, sold.epoch)
  const areSold = commands.map(({ sale, index, user }, at) => user !== '' && at % 2 === 0 && sold.has(sale, index))
  for (const [at, { sale, index, nonce, user, buyer, isRelease = false }] of commands.entries()) {
    if (areSold[at] === true) writer.addSold(sale, index, nonce, user)
    else writer.add(sale, index, user === '' ? nonce + afterCode({ buyer, isRelease }) : nonce, user)
  }
  const { results, id } = await store.decide(writer.encode())
  const reader = new DecisionReader(results)
  sold.decidedIn(id)
  const purchases: Purchase[] = []
  for (const [at, command] of commands.entries()) {
    assert.ok(reader.next(), `decision ${at} is missing`)
    const decision = decisionOf(reader)
    if (reader.isOfSoldItem) sold.learn(command.sale, command.index)
    if (areSold[at] === true) reachedAsSold.set(decision.outcome, (reachedAsSold.get(decision.outcome) ?? 0) + 1)
    assert.deepEqual(decision, shop.decide(command, reader.nowMs), `command ${at} of ${JSON.stringify(commands)}`)
    reached.set(decision.outcome, (reached.get(decision.outcome) ?? 0) + 1)
    if (decision.outcome === 'purchased')
      purchases.push({ item: `${command.sale}-${command.index}`, user: `${decision.user} in ${command.sale}` })
  }
  assert.ok(!reader.next(), 'more decisions than commands')
  return { purchases, nowMs: reader.nowMs }
}

async function compareHeld(shop: ReferenceShop, sale: number): Promise<void> {
  const state = await store.saleState(sale)
  assert.ok(state)
  assert.ok(state.held >= shop.liveHoldCount(sale, state.nowMs), 'held counts every live hold')
  assert.ok(state.held <= shop.liveHoldCount(sale, state.nowMs - 1_000), 'held lags by a second at most')
}

async function compareState(shop: ReferenceShop, sale: number): Promise<void> {
  const state = await store.saleState(sale)
  assert.equal(state?.sold, shop.soldCount(sale))
  assert.ok(state.held >= 0)
  const snapshot = await store.snapshot(sale)
  const named = new Map([...shop.counts(sale)].map(([outcome, count]) => [outcomes[outcome].code as number, count]))
  assert.deepEqual(snapshot.counts, named)
  const { users: found, terms } = decodeSnapshot(snapshot) ?? assert.fail('the sale is listed')
  const expected = [...shop.buyers(sale)].map(([user, { bought, ends }]) => {
    return [user, { purchases: bought, holdsExpireAtMs: ends.toSorted((a, b) => a - b), rights: [] }] as const
  })
  assert.deepEqual(found, new Map(expected))
  for (const [user, { purchases, holdsExpireAtMs }] of found)
    assert.ok(purchases + holdsExpireAtMs.length <= terms.userLimit, user)
}

/** The sales of a run, in Redis and in the model, and how to name their items. */
async function openRun(
  userLimit: number,
): Promise<{ shop: ReferenceShop; sold: SoldItems; source: CommandSource; opened: readonly number[] }> {
  const { nowMs } = await store.logState()
  const terms = openTerms(nowMs, userLimit)
  const shop = new ReferenceShop(intervalMs)
  for (const one of Object.values(terms)) {
    await store.openSale(one, 3_600)
    shop.open(one)
  }
  const numbers = Object.fromEntries(Object.entries(terms).map(([name, { sale }]) => [name, sale]))
  const source = new CommandSource({ ...numbers, gone: 7, unlisted: 10 ** 12 })
  return { shop, sold: new SoldItems(), source, opened: Object.values(numbers) }
}

test(`the Redis function decides like the reference model (SEED=${seed})`, async () => {
  const unlistedBefore = await store.countsUnlisted()
  const unlistedSeen = new Map<number, number>()
  const property = fc.asyncProperty(scenario, async (steps) => {
    const { shop, sold, source, opened } = await openRun(2)
    for (const step of steps) {
      await compare(
        { shop, sold },
        step.batch.map((one) => source.command(one)),
      )
      if (step.pauseMs > 0) await delay(step.pauseMs)
    }
    for (const sale of opened) {
      await compareHeld(shop, sale)
      await compareState(shop, sale)
    }
    for (const [outcome, count] of shop.countsUnlisted) {
      const { code } = outcomes[outcome]
      unlistedSeen.set(code, (unlistedSeen.get(code) ?? 0) + count)
    }
  })
  await fc.assert(property, { seed, numRuns: runs })
  for (const [code, count] of await store.countsUnlisted()) {
    assert.equal(count - (unlistedBefore.get(code) ?? 0), unlistedSeen.get(code), `unlisted outcome ${code}`)
  }
})

test(`it decides like the model when Redis' clock steps back and forth, and nobody gets more (SEED=${seed})`, async (t) => {
  const clock = await stepRedisClock(await openRedis(t, redis.admin))
  let cutOffAlive = 0
  const property = fc.asyncProperty(steppedScenario, async ({ userLimit, steps }) => {
    let aheadMs = 0
    await clock.set(aheadMs)
    const { shop, sold, source, opened } = await openRun(userLimit)
    const bought: Purchase[] = []
    for (const step of steps) {
      aheadMs += step.stepMs
      await clock.set(aheadMs)
      const commands = step.batch.map((one) => source.command(one))
      const { purchases, nowMs } = await compare({ shop, sold }, commands)
      bought.push(...purchases)
      for (const sale of opened) cutOffAlive += cutOffButAlive(shop, sale, nowMs)
    }
    for (const sale of opened) await compareState(shop, sale)
    assert.equal(new Set(bought.map(({ item }) => item)).size, bought.length, 'an item was sold twice')
    for (const { user } of bought) assert.ok(bought.filter((one) => one.user === user).length <= userLimit, user)
  })
  await fc.assert(property, { seed, numRuns: runs, examples: [[soldThenClosed]] })
  t.diagnostic(`${cutOffAlive} times a hold that was cut off had its end before it`)
  assert.ok(cutOffAlive > 0, 'the steps must bring holds to life that were cut off')
})

test('the random commands reached every outcome, so the comparison means something', (t) => {
  t.diagnostic(JSON.stringify(Object.fromEntries(reached)))
  const missing = (Object.keys(outcomes) as Outcome[]).filter((outcome) => !reached.has(outcome))
  assert.deepEqual(missing, [])
  t.diagnostic(`sent as sold: ${JSON.stringify(Object.fromEntries(reachedAsSold))}`)
  assert.deepEqual([...reachedAsSold.keys()].toSorted(), ['item_sold', 'sale_closed'])
})

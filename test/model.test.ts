// Goal: the Redis function takes the decisions that the rules of DESIGN demand, in every order of commands.
// Method: random sequences of batches, with time passing in between (holds live 25 ms, one sale closes and another
// opens meanwhile), run against the real function and a plain reference model. The model is told only what time Redis
// read for the batch. Outcomes and their details must be equal, and so must the counters at the end.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { BatchWriter, DecisionReader, type SaleTerms } from '../core/decisions.ts'
import { nonceLength } from '../core/ids.ts'
import { type Outcome, outcomes } from '../core/outcomes.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { startRedis } from './helpers/services.ts'
import { type ModelCommand, type ModelDecision, ReferenceShop } from './model/reference-shop.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const runs = Number(process.env['MODEL_RUNS'] ?? 150)
const intervalMs = 3_600_000
const holdMs = 25
const users = ['ann', 'bob:1', 'c@d.e']
const reached = new Map<Outcome, number>()

const redis = await startRedis({ after })
const store = new SaleStore(redis.connection, { name: 'model-test' })
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
  kind: fc.constant('purchase' as const),
  pick: fc.nat({ max: 1_000 }),
  guess: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
})
const batch = fc.array(fc.oneof({ weight: 3, arbitrary: checkout }, { weight: 2, arbitrary: purchase }), {
  minLength: 1,
  maxLength: 12,
})
const pauseMs = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 40 }))
const scenario = fc.array(fc.record({ batch, pauseMs }), { minLength: 1, maxLength: 12 })

type Step = typeof batch extends fc.Arbitrary<(infer Command)[]> ? Command : never

let saleNext = 1_000

function openTerms(nowMs: number): Record<'open' | 'closing' | 'opening', SaleTerms> {
  const common = { items: 4, userLimit: 2, holdMs }
  const day = 86_400_000
  return {
    open: { ...common, sale: saleNext++, opensAtMs: nowMs - 5_000, closesAtMs: nowMs + day },
    closing: { ...common, sale: saleNext++, opensAtMs: nowMs - day, closesAtMs: nowMs + 30 },
    opening: { ...common, sale: saleNext++, opensAtMs: nowMs + 30, closesAtMs: nowMs + day },
  }
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
    if (!of) return { sale: this.#sales['open'] as number, index: '1', nonce, user: '' }
    return { ...of, nonce: step.guess ? nonce : of.nonce, user: '' }
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

async function compare(shop: ReferenceShop, commands: readonly ModelCommand[]): Promise<number> {
  const writer = new BatchWriter(intervalMs)
  for (const { sale, index, nonce, user } of commands) writer.add(sale, index, nonce, user)
  const reader = new DecisionReader((await store.decide(writer.encode())).results)
  for (const [at, command] of commands.entries()) {
    assert.ok(reader.next(), `decision ${at} is missing`)
    const decision = decisionOf(reader)
    assert.deepEqual(decision, shop.decide(command, reader.nowMs), `command ${at} of ${JSON.stringify(commands)}`)
    reached.set(decision.outcome, (reached.get(decision.outcome) ?? 0) + 1)
  }
  assert.ok(!reader.next(), 'more decisions than commands')
  return reader.nowMs
}

async function compareState(shop: ReferenceShop, sale: number): Promise<void> {
  const state = await store.saleState(sale)
  assert.ok(state)
  assert.equal(state.sold, shop.soldCount(sale))
  assert.ok(state.held >= shop.liveHoldCount(sale, state.nowMs), 'held counts every live hold')
  assert.ok(state.held <= shop.liveHoldCount(sale, state.nowMs - 1_000), 'held lags by a second at most')
  const { counts } = await store.snapshot(sale)
  const named = new Map([...shop.counts(sale)].map(([outcome, count]) => [outcomes[outcome].code as number, count]))
  assert.deepEqual(counts, named)
}

test(`the Redis function decides like the reference model (SEED=${seed})`, async () => {
  const unlistedBefore = await store.countsUnlisted()
  const unlistedSeen = new Map<number, number>()
  const property = fc.asyncProperty(scenario, async (steps) => {
    const { nowMs } = await store.logState()
    const terms = openTerms(nowMs)
    const shop = new ReferenceShop(intervalMs)
    for (const one of Object.values(terms)) {
      await store.openSale(one, 3_600)
      shop.open(one)
    }
    const sales = {
      open: terms.open.sale,
      closing: terms.closing.sale,
      opening: terms.opening.sale,
      gone: 7,
      unlisted: 10 ** 12,
    }
    const source = new CommandSource(sales)
    for (const step of steps) {
      await compare(
        shop,
        step.batch.map((one) => source.command(one)),
      )
      if (step.pauseMs > 0) await delay(step.pauseMs)
    }
    for (const one of Object.values(terms)) await compareState(shop, one.sale)
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

test('the random commands reached every outcome, so the comparison means something', (t) => {
  t.diagnostic(JSON.stringify(Object.fromEntries(reached)))
  const missing = (Object.keys(outcomes) as Outcome[]).filter((outcome) => !reached.has(outcome))
  assert.deepEqual(missing, [])
})

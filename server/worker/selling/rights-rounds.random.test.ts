// Goal: whatever comes in whatever order, no buyer gets more than the limit, every checkout is answered once, and nobody is
// refused who had a right left at each moment from his checkout to its answer.
// Method: the searches of one or two workers over shards that keep rights as the contract says, with every reply held back for
// as long as a draw decides, and holds that expire. Total counts are kept outside of the shards.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack } from 'msgpackr'

import { DecisionReader, lendNonce } from '../../../core/decisions.ts'
import { outcomes, replies } from '../../../core/outcomes.ts'
import { baseRights, homeShard } from '../../../core/rights.ts'
import { shardNumbers } from '../../../core/shards.ts'
import type { PendingCommand } from './batcher.ts'
import type { BuyerCommand, SellingShard } from './buyer-command.ts'
import { RightsRounds } from './rights-rounds.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000_000)
const worldCount = 400
const stepsPerWorld = 250

/** mulberry32 */
function drawer(from: number): (below: number) => number {
  let state = from
  return (below) => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** One buyer's rights at one shard. */
class ModelShard {
  readonly number: number
  readonly base: number
  readonly lent: number[]
  readonly got: number[]
  used = 0
  /** Of each worker: sent and not decided, decided and not answered; each in its order. */
  readonly sent: { worker: number; command: PendingCommand }[] = []
  readonly decided: { worker: number; answer: () => void }[] = []

  constructor(number: number, { user, shards, limit }: { user: string; shards: number; limit: number }) {
    this.number = number
    this.base = baseRights({ limit, shards, shard: number, home: homeShard(user, shards) })
    this.lent = shardNumbers(shards).map(() => 0)
    this.got = shardNumbers(shards).map(() => 0)
  }

  get rights(): number {
    return (
      this.base + this.got.reduce((sum, count) => sum + count, 0) - this.lent.reduce((sum, count) => sum + count, 0)
    )
  }

  /** The reply, as Redis gives it. */
  decide({ nonce, index }: PendingCommand, limit: number): (number | string)[] {
    for (const [, from, , total] of nonce.matchAll(/;(\d+),(\d+),(\d+)/g)) {
      this.got[Number(from)] = Math.max(this.got[Number(from)] ?? 0, Number(total))
    }
    if (nonce.startsWith(lendNonce)) {
      const to = Number(index)
      const lends = to !== this.number && this.used < this.rights
      if (lends) this.lent[to] = (this.lent[to] ?? 0) + 1
      return [lends ? replies.lent.code : replies.not_lent.code, 1, `${this.lent.join(',')};${this.got.join(',')}`]
    }
    if (this.used < this.rights) {
      this.used += 1
      return [outcomes.held.code, 1_000]
    }
    const isFinal = this.rights >= limit || nonce[16] === '!'
    return [isFinal ? outcomes.user_limit_reached.code : replies.rights_elsewhere.code]
  }
}

class World {
  readonly limit: number
  readonly user: string
  readonly shards: ModelShard[]
  readonly workers: RightsRounds[]
  readonly below: (count: number) => number
  step = 0
  /** The last step at which the buyer had as many as one may have. */
  fullAt = -1
  readonly checkouts: Checkout[] = []

  constructor(worldSeed: number, workerCount: number) {
    this.below = drawer(worldSeed)
    const shards = 2 + this.below(4)
    this.limit = 1 + this.below(6)
    this.user = `user-${this.below(1_000)}`
    const { user, limit } = this
    this.shards = shardNumbers(shards).map((number) => new ModelShard(number, { user, limit, shards }))
    this.workers = Array.from({ length: workerCount }, (_, worker) => {
      return new RightsRounds({
        shards: this.shards.map((shard) => this.#offersTo(shard, worker)),
        directory: { shardsOf: () => shards },
        now: () => 0,
        metrics: { rightsAsked: () => undefined, rightsRound: () => undefined },
        onUnlisted: () => assert.fail('each shard lists the sale'),
      })
    })
  }

  get used(): number {
    return this.shards.reduce((sum, { used }) => sum + used, 0)
  }

  #offersTo(shard: ModelShard, worker: number): SellingShard {
    const offerAgain = (command: PendingCommand) => void shard.sent.push({ worker, command })
    return { number: shard.number, refusal: () => undefined, batcher: { offerAgain } }
  }

  checkout(): void {
    const worker = this.below(this.workers.length)
    const shard = this.shards[this.below(this.shards.length)] as ModelShard
    const checkout = new Checkout(this, this.workers[worker] as RightsRounds, this.#offersTo(shard, worker))
    this.checkouts.push(checkout)
    checkout.shard.batcher.offerAgain(checkout)
  }

  expire(): void {
    const shard = this.shards[this.below(this.shards.length)] as ModelShard
    if (shard.used > 0) shard.used -= 1
  }

  decideOne(): void {
    const shard = this.shards[this.below(this.shards.length)] as ModelShard
    const next = shard.sent.shift()
    if (next === undefined) return
    const { worker, command } = next
    const reply = shard.decide(command, this.limit)
    assert.ok(this.used <= this.limit, `${this.used} of ${this.limit}`)
    assert.ok(shard.used <= shard.rights)
    if (this.used === this.limit) this.fullAt = this.step
    const answer = () => {
      const decision = new DecisionReader(pack([1_000, ...reply]))
      decision.next()
      command.decided(decision, '1-1', 0)
    }
    shard.decided.push({ worker, answer })
  }

  answerOne(): void {
    const shard = this.shards[this.below(this.shards.length)] as ModelShard
    const worker = this.below(this.workers.length)
    const at = shard.decided.findIndex((each) => each.worker === worker)
    if (at >= 0) shard.decided.splice(at, 1)[0]?.answer()
  }

  /** Until every command has its answer. */
  settle(): void {
    while (this.shards.some(({ sent, decided }) => sent.length > 0 || decided.length > 0)) {
      this.step += 1
      if (this.used === this.limit) this.fullAt = this.step
      this.decideOne()
      this.answerOne()
    }
  }
}

class Checkout implements BuyerCommand {
  readonly sale = 1
  readonly index = '1'
  readonly nonce = 'n'.repeat(16)
  readonly user: string
  readonly arrivedMs = 0
  shard: SellingShard
  readonly answers: string[] = []
  readonly cameAt: number
  readonly #world: World
  readonly #rounds: RightsRounds

  constructor(world: World, rounds: RightsRounds, shard: SellingShard) {
    this.#world = world
    this.#rounds = rounds
    this.shard = shard
    this.user = world.user
    this.cameAt = world.step
  }

  decided(decision: DecisionReader): void {
    if (!decision.isDecided) this.#rounds.seek(this)
    else {
      this.answers.push(decision.outcome)
      if (decision.outcome === 'user_limit_reached') this.wasRight = this.#world.fullAt >= this.cameAt
    }
  }

  /** There was a moment from its arrival on at which the buyer had as many as one may have. */
  wasRight = true

  failed(): void {
    this.answers.push('failed')
  }

  late(): void {
    this.answers.push('late')
  }

  shed(): void {
    this.answers.push('shed')
  }

  unavailable(): void {
    this.answers.push('unavailable')
  }
}

/** Draws a history, and gives the world at rest. */
function history(worldSeed: number, { workers, expires }: { workers: number; expires: boolean }): World {
  const world = new World(worldSeed, workers)
  for (; world.step < stepsPerWorld; world.step += 1) {
    if (world.used === world.limit) world.fullAt = world.step
    switch (world.below(8)) {
      case 0:
        world.checkout()
        break
      case 1:
        if (expires && world.below(4) === 0) world.expire()
        break
      case 2:
      case 3:
      case 4:
        world.decideOne()
        break
      default:
        world.answerOne()
    }
  }
  world.settle()
  for (const { answers } of world.checkouts) {
    assert.equal(answers.length, 1, 'answered once')
    assert.match(answers.join(), /^(?:held|user_limit_reached)$/)
  }
  for (const { seekers } of world.workers) assert.equal(seekers, 0)
  return world
}

/** Of a world at rest: one checkout after the other gets what is left, and not one more. */
function takeTheRest(world: World): void {
  while (world.used < world.limit) {
    world.checkout()
    world.settle()
    assert.deepEqual(world.checkouts.at(-1)?.answers, ['held'])
  }
  world.checkout()
  world.settle()
  assert.deepEqual(world.checkouts.at(-1)?.answers, ['user_limit_reached'])
}

test(`a buyer is refused only if all rights were used at some moment, and gets all of them (SEED=${seed})`, () => {
  let refused = 0
  for (let n = 0; n < worldCount; n++) {
    const world = history(seed + n, { workers: 1, expires: false })
    for (const { wasRight } of world.checkouts) assert.ok(wasRight, `world ${seed + n}`)
    refused += world.checkouts.filter(({ answers }) => answers[0] === 'user_limit_reached').length
    if (refused > 0 && world.checkouts.length > world.limit) assert.equal(world.used, world.limit, `world ${seed + n}`)
    takeTheRest(world)
  }
  assert.ok(refused > worldCount, 'the histories must reach the limit')
})

test(`holds that expire, and a second worker, never lead above the limit (SEED=${seed})`, () => {
  let wrong = 0
  let refused = 0
  for (let n = 0; n < worldCount; n++) {
    const world = history(seed + n, { workers: 2, expires: true })
    refused += world.checkouts.filter(({ answers }) => answers[0] === 'user_limit_reached').length
    wrong += world.checkouts.filter(({ wasRight }) => !wasRight).length
    takeTheRest(world)
  }
  assert.ok(refused > worldCount, 'the histories must reach the limit')
  // While another worker moves the buyer's rights, or one frees itself, one that is free can be missed: some 60 of 100,000 here.
  assert.ok(wrong * 100 < refused, `${wrong} of ${refused}`)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack } from 'msgpackr'

import { DecisionReader, lendNonce } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import { outcomes, replies } from '../../../core/outcomes.ts'
import { homeShard } from '../../../core/rights.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import type { PendingCommand } from './batcher.ts'
import type { BuyerCommand, SellingShard } from './buyer-command.ts'
import { RightsRounds } from './rights-rounds.ts'

const shardCount = 3
const sale = 7
const nonce = 'n'.repeat(16)

/** A buyer whose rights are dealt out from that shard on. */
function userOf(home: number): string {
  const users = Array.from({ length: 100 }, (_, n) => `user-${n}`)
  return users.find((user) => homeShard(user, shardCount) === home) as string
}

/** A shard whose replies the test gives by hand: the rules of a round are about what comes when. */
class ScriptedShard implements SellingShard {
  readonly number: number
  reason: ShedReason | undefined
  readonly offered: PendingCommand[] = []
  readonly batcher = { offerAgain: (command: PendingCommand) => void this.offered.push(command) }

  constructor(number: number) {
    this.number = number
  }

  refusal(): ShedReason | undefined {
    return this.reason
  }

  /** The oldest command that has no reply: for whom a right is asked, or `checkout`, and what goes behind the nonce. */
  get asked(): string {
    const [command] = this.offered
    if (command === undefined) return ''
    const added = command.nonce.slice(16)
    return command.nonce.startsWith(lendNonce) ? `for ${command.index}${added}` : `checkout${added}`
  }

  reply(...flat: (number | string)[]): void {
    const decision = new DecisionReader(pack([1_000, ...flat]))
    assert.ok(decision.next())
    this.take().decided(decision, '1-1', 0)
  }

  lends(rows: string, epoch = 1): void {
    this.reply(replies.lent.code, epoch, rows)
  }

  hasNone(rows = '0,0,0;0,0,0', epoch = 1): void {
    this.reply(replies.not_lent.code, epoch, rows)
  }

  holds(): void {
    this.reply(outcomes.held.code, 5_000)
  }

  knowsNoRight(): void {
    this.reply(replies.rights_elsewhere.code)
  }

  refuses(): void {
    this.reply(outcomes.user_limit_reached.code)
  }

  take(): PendingCommand {
    const command = this.offered.shift()
    assert.ok(command, `nothing was offered to shard ${this.number}`)
    return command
  }
}

class Checkout implements BuyerCommand {
  readonly sale = sale
  readonly index = '1'
  readonly nonce = nonce
  readonly user: string
  readonly arrivedMs = 0
  shard: SellingShard
  answer = ''
  readonly #rounds: RightsRounds

  constructor(rounds: RightsRounds, { user, shard }: { user: string; shard: SellingShard }) {
    this.#rounds = rounds
    this.user = user
    this.shard = shard
  }

  decided(decision: DecisionReader): void {
    if (decision.isDecided) this.answer += decision.outcome
    else this.#rounds.seek(this)
  }

  failed(): void {
    this.unavailable()
  }

  late(): void {
    this.shed('late')
  }

  shed(reason: ShedReason): void {
    this.answer += reason
  }

  unavailable(): void {
    this.answer += 'unavailable'
  }
}

function setUp({ home = 1, spread = shardCount } = {}) {
  const shards = [new ScriptedShard(0), new ScriptedShard(1), new ScriptedShard(2)] as const
  const counts = { asked: 0, results: [] as string[] }
  const unlisted: [number, number][] = []
  const rounds = new RightsRounds({
    shards,
    directory: { shardsOf: () => spread },
    now: () => 0,
    metrics: { rightsAsked: (loans) => (counts.asked += loans), rightsRound: (end) => counts.results.push(end) },
    onUnlisted: (...what) => unlisted.push(what),
  })
  const user = userOf(home)
  /** A checkout that has just been answered that there is no right at its shard. */
  const seek = (at = 0): Checkout => {
    const checkout = new Checkout(rounds, { user, shard: shards[at] as ScriptedShard })
    rounds.seek(checkout)
    return checkout
  }
  const asked = () => shards.map((shard) => shard.asked)
  return { shards, rounds, counts, unlisted, seek, asked }
}

/** Up to the last word, with nobody who has a right: the item is at the first shard, the buyer's home is the second. */
function askAllInVain({ shards: [own, home, other] }: ReturnType<typeof setUp>): void {
  home.hasNone()
  own.hasNone()
  other.hasNone()
  for (const shard of [own, home, other]) shard.hasNone()
}

test('the home shard is asked alone, and what it lends goes with the checkout', () => {
  const { shards, seek, asked, counts, rounds } = setUp()
  const [own, home] = shards
  const checkout = seek()
  assert.deepEqual(asked(), ['', 'for 0', ''])
  home.lends('2,0,0;0,0,0', 5)
  assert.deepEqual(asked(), ['checkout;1,5,2', '', ''])
  assert.equal(own.offered[0]?.nonce, `${nonce};1,5,2`)
  own.holds()
  assert.equal(checkout.answer, 'held')
  assert.deepEqual([counts.asked, counts.results, rounds.seekers], [1, ['lent'], 0])
  assert.deepEqual(asked(), ['', '', ''])
})

test('when the home shard has none, all others are asked at once, the own one for its rows', () => {
  const { shards, seek, asked } = setUp()
  const [own, home, other] = shards
  const checkout = seek()
  home.hasNone()
  assert.deepEqual(asked(), ['for 0', '', 'for 0'])
  other.lends('1,0,0;0,0,0')
  assert.deepEqual(asked(), ['for 0', '', ''], 'until all have answered')
  own.hasNone()
  assert.deepEqual(asked(), ['checkout;2,1,1', '', ''])
  own.holds()
  assert.equal(checkout.answer, 'held')
})

test('a buyer at home asks the others at once, and takes what several lend', () => {
  const { shards, seek, asked } = setUp({ home: 0 })
  const [own, second, third] = shards
  const checkout = seek()
  assert.deepEqual(asked(), ['for 0', 'for 0', 'for 0'])
  own.hasNone()
  second.lends('1,0,0;0,0,0', 3)
  third.lends('4,0,0;0,0,0', 6)
  assert.deepEqual(asked(), ['checkout;1,3,1;2,6,4', '', ''])
  own.holds()
  assert.equal(checkout.answer, 'held')
})

test('what has arrived already is not told again', () => {
  const { shards, seek, asked } = setUp()
  const [own, home, other] = shards
  seek()
  home.hasNone('3,0,0;0,0,0')
  own.hasNone('0,0,0;0,3,1')
  other.lends('2,0,0;0,0,0')
  assert.deepEqual(asked(), ['checkout;2,1,2', '', ''])
})

test('rights under way between any two shards are delivered, and then all are asked once more', () => {
  const { shards, seek, asked, counts } = setUp()
  const [own, home, other] = shards
  const checkout = seek()
  home.hasNone('0,0,2;0,0,0', 4)
  own.hasNone('0,0,0;0,0,0')
  other.hasNone('0,0,0;0,1,0')
  assert.deepEqual(asked(), ['for 0', 'for 0', 'for 0;1,4,2'])
  own.hasNone()
  home.hasNone('0,0,2;0,0,0', 4)
  other.reply(replies.received.code, '1,2', replies.lent.code, 9, '1,0,0;0,2,0')
  assert.deepEqual(asked(), ['checkout;2,9,1', '', ''])
  own.holds()
  assert.equal(checkout.answer, 'held')
  assert.deepEqual([counts.asked, counts.results], [6, ['lent']])
})

test('when nobody has a right, the checkout goes with the last word, which is final', () => {
  const facts = setUp()
  const { shards, seek, asked, counts, rounds } = facts
  const [own] = shards
  const checkout = seek()
  askAllInVain(facts)
  assert.deepEqual(asked(), ['checkout!', '', ''])
  own.refuses()
  assert.equal(checkout.answer, 'user_limit_reached')
  assert.deepEqual([counts.asked, counts.results, rounds.seekers], [6, ['refused'], 0])
})

test('the last word takes along what was lent meanwhile, and grants if a right is there', () => {
  const { shards, seek, asked, counts } = setUp()
  const [own, home, other] = shards
  const checkout = seek()
  home.hasNone()
  own.hasNone()
  other.hasNone()
  own.hasNone()
  home.lends('1,0,0;0,0,0')
  other.hasNone()
  assert.deepEqual(asked(), ['checkout;1,1,1', '', ''])
  own.knowsNoRight()
  assert.deepEqual(asked(), ['checkout!;1,1,1', '', ''])
  own.holds()
  assert.equal(checkout.answer, 'held')
  assert.deepEqual(counts.results, ['lent'])
})

test('a right that somebody else has taken is looked for on', () => {
  const { shards, seek, asked } = setUp()
  const [own, home, other] = shards
  const checkout = seek()
  home.lends('1,0,0;0,0,0')
  own.knowsNoRight()
  assert.deepEqual(asked(), ['for 0;1,1,1', '', 'for 0'])
  own.hasNone('0,0,0;0,1,0')
  other.lends('1,0,0;0,0,0')
  assert.deepEqual(asked(), ['checkout;2,1,1', '', ''])
  own.reply(outcomes.item_sold.code)
  assert.equal(checkout.answer, 'item_sold')
})

test('later checkouts of the buyer wait, and take turns, each beginning with what is there by then', () => {
  const { shards, seek, asked, rounds, counts } = setUp()
  const [own, home, other] = shards
  const [first, second, third] = [seek(), seek(), seek(2)]
  assert.deepEqual([asked(), rounds.seekers], [['', 'for 0', ''], 3])
  home.lends('1,0,0;0,0,0')
  own.holds()
  assert.deepEqual([first.answer, asked()], ['held', ['checkout', '', '']])
  own.holds()
  assert.deepEqual([second.answer, asked()], ['held', ['', '', 'checkout']])
  other.knowsNoRight()
  assert.deepEqual(asked(), ['', 'for 2', ''])
  home.lends('1,0,1;0,0,0')
  other.holds()
  assert.deepEqual([third.answer, rounds.seekers, counts.results], ['held', 0, ['lent', 'lent']])
})

test('those that came before all were asked once more are refused with it; later ones have a search of their own', () => {
  const { shards, seek, asked, rounds, counts } = setUp()
  const [own, home, other] = shards
  const first = seek()
  const before = seek(2)
  home.hasNone()
  own.hasNone()
  other.hasNone('0,0,0;0,0,0', 8)
  const after = seek(1)
  own.hasNone()
  home.hasNone('0,0,1;0,0,0', 2)
  other.hasNone('0,0,0;0,0,0', 8)
  assert.deepEqual(asked(), ['checkout!', '', ''])
  own.refuses()
  assert.deepEqual([first.answer, before.answer, after.answer], ['user_limit_reached', '', ''])
  assert.deepEqual(asked(), ['', 'checkout', 'checkout!;1,2,1'], 'with what its own shard has not heard of')
  other.refuses()
  assert.equal(before.answer, 'user_limit_reached')
  home.knowsNoRight()
  assert.deepEqual(asked(), ['for 1', 'for 1', 'for 1'])
  assert.equal(rounds.seekers, 1)
  own.hasNone()
  home.hasNone()
  other.lends('0,1,0;0,0,0', 8)
  assert.deepEqual(asked(), ['', 'checkout;2,8,1', ''])
  home.holds()
  assert.deepEqual([after.answer, counts.results], ['held', ['refused', 'lent']])
})

test('where all rights are at one shard and used, those that wait are refused without being looked for', () => {
  const { shards, seek, asked } = setUp()
  const [own, home, other] = shards
  const [first, second] = [seek(), seek(2)]
  home.lends('1,0,0;0,0,0')
  own.refuses()
  assert.deepEqual([first.answer, asked()], ['user_limit_reached', ['', '', 'checkout!']])
  other.refuses()
  assert.equal(second.answer, 'user_limit_reached')
})

test('when the item is gone meanwhile, the others go on looking', () => {
  const facts = setUp()
  const { shards, seek, asked } = facts
  const [own] = shards
  const first = seek()
  const second = seek(2)
  askAllInVain(facts)
  own.reply(outcomes.item_held.code, 1_000)
  assert.deepEqual([first.answer, second.answer, asked()], ['item_held', '', ['', '', 'checkout']])
})

for (const [what, happens, answer] of [
  ['turns commands away', ({ shards }) => (shards[1].reason = 'backlog_full'), 'backlog_full'],
  ['does not answer', ({ shards }) => shards[1].take().failed(new Fault('HC_REDIS_UNAVAILABLE', '')), 'unavailable'],
  ['is not asked in time', ({ shards }) => shards[1].take().late(), 'late'],
  ['does not list the sale', ({ shards }) => shards[1].reply(replies.not_listed.code), 'unavailable'],
  ['lists other terms', ({ shards }) => shards[1].hasNone('0,0;0,0'), 'unavailable'],
] as [string, (facts: ReturnType<typeof setUp>) => void, string][]) {
  test(`when a shard ${what}, all checkouts of the buyer that wait are answered so`, () => {
    const facts = setUp()
    const { shards, seek, rounds, counts, unlisted, asked } = facts
    const [own, home, other] = shards
    const waiting = [seek(), seek(2)]
    // The home shard has said what it has: now it is asked with the others.
    home.hasNone()
    own.hasNone()
    if (what === 'turns commands away') happens(facts)
    other.hasNone()
    if (what !== 'turns commands away') happens(facts)
    assert.ok(waiting.every((checkout) => checkout.answer === answer))
    assert.deepEqual([rounds.seekers, counts.results], [0, ['failed']])
    assert.deepEqual(unlisted, what === 'does not list the sale' ? [[sale, 1]] : [])
    for (const shard of shards) while (shard.offered.length > 0) shard.lends('1,0,0;0,0,0')
    assert.deepEqual(asked(), ['', '', ''], 'what comes too late moves nothing')
    const next = seek()
    assert.deepEqual([next.answer, rounds.seekers], [what === 'turns commands away' ? answer : '', next.answer ? 0 : 1])
  })
}

test('a checkout that is not answered, or without a decision for good, ends the search', () => {
  for (const [end, answer] of [
    [(own: ScriptedShard) => own.take().failed(new Fault('HC_REDIS_UNAVAILABLE', '')), 'unavailable'],
    [(own: ScriptedShard) => own.take().late(), 'late'],
    [(own: ScriptedShard) => own.reply(replies.not_listed.code), 'unavailable'],
    [(own: ScriptedShard) => own.reply(replies.misplaced.code, 2), 'unavailable'],
  ] as const) {
    const { shards, seek, rounds } = setUp()
    const [own, home] = shards
    const waiting = [seek(), seek()]
    home.lends('1,0,0;0,0,0')
    end(own)
    assert.ok(waiting.every((checkout) => checkout.answer === answer))
    assert.equal(rounds.seekers, 0)
  }
  const facts = setUp()
  const [own] = facts.shards
  const checkout = facts.seek()
  askAllInVain(facts)
  own.knowsNoRight()
  assert.equal(checkout.answer, 'unavailable', 'the last word has an answer')
})

test('a shard that can not take the refusals of those that wait turns them away', () => {
  const facts = setUp()
  const { shards, seek } = facts
  const [own, , other] = shards
  const [first, second] = [seek(), seek(2)]
  askAllInVain(facts)
  other.reason = 'redis_down'
  own.refuses()
  assert.deepEqual([first.answer, second.answer], ['user_limit_reached', 'redis_down'])
})

test('a shard of the sale that this worker does not have can not be asked', () => {
  const { shards, seek } = setUp({ spread: 4 })
  const checkout = seek()
  while (checkout.answer === '') {
    const shard = shards.find(({ offered }) => offered.length > 0)
    shard?.hasNone('0,0,0,0;0,0,0,0')
    if (shard === undefined) break
  }
  assert.equal(checkout.answer, 'unavailable')
})

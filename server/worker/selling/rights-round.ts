import { afterNonce, type DecisionReader, lendNonce, type Receipt } from '../../../core/decisions.ts'
import type { Fault } from '../../../core/faults.ts'
import { homeShard } from '../../../core/rights.ts'
import { shardNumbers } from '../../../core/shards.ts'
import type { PendingCommand } from './batcher.ts'
import { type BuyerCommand, giveUp, type SellingShard, type Undecided } from './buyer-command.ts'

/**
 * How the search for a right ended, for one checkout. refused: the buyer has as many items as one may have; failed: some shard
 * did not say what it has; lent: it was decided otherwise, mostly with a right that was lent.
 */
export const roundResults = ['lent', 'refused', 'failed'] as const
export type RoundResult = (typeof roundResults)[number]

export interface RoundOptions {
  /** By their numbers. */
  readonly shards: readonly SellingShard[]
  readonly now: () => number
  /** So many loans were asked for. */
  readonly onAsked: (loans: number) => void
  /** A checkout that others were asked for has its end. */
  readonly onResult: (result: RoundResult) => void
  /** So many of its checkouts wait no more. */
  readonly onLeft: (checkouts: number) => void
  /** Nothing waits any more: the next checkout of the buyer begins another round. */
  readonly onOver: () => void
  /** The shard does not list the sale. */
  readonly onUnlisted: (sale: number, shard: number) => void
}

/** What a shard has last said of the buyer's rights: lent to each other one, and got from it, ever. */
interface Rows {
  readonly epoch: number
  readonly lent: readonly number[]
  readonly got: readonly number[]
}

/** What is done for a checkout, one after the other, until it has its decision. */
const steps = ['retry', 'home', 'others', 'everybody', 'last_word'] as const
type Step = (typeof steps)[number]

/**
 * A buyer's search for a right to hold one item more, over the shards of a sale. For one checkout at a time, in the order in
 * which they found none: those that come meanwhile wait.
 *
 *     retry ─► home ─► others ─► everybody ─► last_word        retry is left out for the first checkout,
 *                └───────┴───────────┤ a right was lent         home where it is the item's own shard
 *                                    └─► the checkout goes again, with the receipts; without success the next step
 *
 * `everybody` delivers what was lent and has not arrived, and asks all once more. When nobody has a right then, none was free
 * at its beginning: the checkout goes with the last word, and so do those that waited by then, wherever their items are.
 * Rights stay where they went, so a round that ends half-way harms nobody.
 */
export class RightsRound {
  readonly sale: number
  readonly user: string
  readonly #options: RoundOptions
  /** The shards of the sale. */
  readonly #numbers: readonly number[]
  readonly #home: number
  #leader: BuyerCommand
  #step: Step
  readonly #waiting: BuyerCommand[] = []
  /** So many of those that wait came before what the leader is refused for was found out. */
  #covered = 0
  /** By shard. */
  readonly #rows: (Rows | undefined)[] = []
  #unanswered = 0
  #isLent = false
  #hasAsked = false
  #isOver = false

  /** @param shards of the sale */
  constructor(leader: BuyerCommand, shards: number, options: RoundOptions) {
    this.sale = leader.sale
    this.user = leader.user
    this.#options = options
    this.#numbers = shardNumbers(shards)
    this.#home = homeShard(leader.user, shards)
    this.#leader = leader
    this.#step = 'retry'
  }

  /** The leader was offered just before: its first step is the one after. */
  start(): void {
    this.#goOn()
  }

  /** Those that wait, without the one that others are asked for. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Another checkout of the buyer has found no right. */
  join(command: BuyerCommand): void {
    this.#waiting.push(command)
  }

  /** A shard has said what it has of the buyer's rights. */
  answered(shard: number, decision: DecisionReader): void {
    if (this.#isOver) return
    const { reply, epoch, lent, got } = decision
    if (reply === 'not_listed') this.#options.onUnlisted(this.sale, shard)
    if ((reply !== 'lent' && reply !== 'not_lent') || lent.length !== this.#numbers.length) {
      this.fail('unavailable')
      return
    }
    this.#rows[shard] = { epoch, lent, got }
    if (reply === 'lent') this.#isLent = true
    this.#unanswered -= 1
    if (this.#unanswered > 0) return
    if (this.#isLent) this.#offerLeader()
    else this.#goOn()
  }

  /** The leader was answered, by a decision. */
  leaderDecided(isRefused: boolean): void {
    const { onResult, onLeft, onOver } = this.#options
    if (this.#hasAsked) onResult(isRefused ? 'refused' : 'lent')
    const refused = isRefused ? this.#waiting.splice(0, this.#covered) : []
    const next = this.#waiting.shift()
    onLeft(1 + refused.length)
    for (const command of refused) this.#offerFor(command, this.#lastWordOf(command))
    this.#isOver = next === undefined
    if (next === undefined) onOver()
    else this.#lead(next)
  }

  /** The leader's shard had no decision on it once more. */
  leaderUndecided({ reply }: DecisionReader): void {
    if (reply === 'not_listed') this.#options.onUnlisted(this.sale, this.#leader.shard.number)
    if (reply === 'rights_elsewhere' && this.#step !== 'last_word') this.#goOn()
    else this.fail('unavailable')
  }

  /**
   * All that wait are given up.
   * @param shard the one that is why, for a reason to turn them away
   * @param fault what has become of the leader, where more is known
   */
  fail(why: Undecided, { shard, fault }: { shard?: number | undefined; fault?: Fault } = {}): void {
    if (this.#isOver) return
    this.#isOver = true
    const { onResult, onLeft, onOver } = this.#options
    if (this.#hasAsked) onResult('failed')
    onLeft(1 + this.#waiting.length)
    onOver()
    if (fault === undefined) giveUp(this.#leader, why, shard)
    else this.#leader.failed(fault)
    for (const command of this.#waiting) giveUp(command, why, shard)
  }

  /** Something may have become free since it came. */
  #lead(command: BuyerCommand): void {
    this.#leader = command
    this.#step = 'retry'
    this.#hasAsked = false
    this.#rows.fill(undefined)
    this.#offerLeader()
  }

  #goOn(): void {
    this.#step = steps[steps.indexOf(this.#step) + 1] as Step
    if (this.#step === 'last_word') this.#offerFor(this.#leader, this.#lastWordOf(this.#leader), this)
    else this.#ask(this.#asked(this.#step))
  }

  /** Whom the step asks. The item's own shard has nothing to lend, but its rows are needed. */
  #asked(step: Step): readonly number[] {
    const own = this.#leader.shard.number
    if (step === 'home') return this.#home === own ? [] : [this.#home]
    return step === 'others' ? this.#numbers.filter((n) => n !== this.#home || n === own) : this.#numbers
  }

  #ask(numbers: readonly number[]): void {
    if (numbers.length === 0) {
      this.#goOn()
      return
    }
    const { shards, now, onAsked } = this.#options
    const nowMs = now()
    const asked: SellingShard[] = []
    for (const number of numbers) {
      const shard = shards[number]
      const refusal = shard === undefined ? 'unavailable' : shard.refusal(nowMs)
      if (refusal !== undefined) {
        this.fail(refusal, { shard: number })
        return
      }
      if (shard !== undefined) asked.push(shard)
    }
    if (this.#step === 'everybody') this.#covered = this.#waiting.length
    this.#hasAsked = true
    this.#unanswered = asked.length
    this.#isLent = false
    onAsked(asked.length)
    const to = this.#leader.shard.number
    // All receipts before the first answer: what is asked for then is one question.
    const loans = asked.map(({ number }) => new Loan(this, { number, to, arrivedMs: this.#leader.arrivedMs }))
    for (const [at, shard] of asked.entries()) shard.batcher.offerAgain(loans[at] as Loan)
  }

  #offerLeader(): void {
    // Where all of the buyer's rights are here and used, it is refused at once; that then holds for those that wait now.
    if (this.#step !== 'everybody') this.#covered = this.#waiting.length
    this.#offerFor(this.#leader, afterNonce(this.receiptsFor(this.#leader.shard.number)), this)
  }

  #lastWordOf(command: BuyerCommand): string {
    return afterNonce(this.receiptsFor(command.shard.number), { isLastWord: true })
  }

  /** @param round undefined: the command's reply is its end, whatever it is */
  #offerFor(command: BuyerCommand, addition: string, round?: RightsRound): void {
    const { shard } = command
    const refusal = shard.refusal(this.#options.now())
    if (refusal === undefined) shard.batcher.offerAgain(new OfferedAgain(command, addition, round))
    else if (round === undefined) giveUp(command, refusal, shard.number)
    else round.fail(refusal, { shard: shard.number })
  }

  /** What others have said that they lent to the shard, and what it has not said that it got. */
  receiptsFor(shard: number): Receipt[] {
    const known = this.#rows[shard]?.got
    return this.#numbers.flatMap((from) => {
      const row = this.#rows[from]
      const total = row?.lent[shard] ?? 0
      return row === undefined || total <= (known?.[from] ?? 0) ? [] : [{ from, epoch: row.epoch, total }]
    })
  }
}

/** Asks a shard for one of the buyer's rights. To the shard that it is for it is a question for its rows. */
class Loan implements PendingCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly user: string
  readonly arrivedMs: number
  readonly #round: RightsRound
  readonly #shard: number

  constructor(round: RightsRound, { number, to, arrivedMs }: { number: number; to: number; arrivedMs: number }) {
    this.sale = round.sale
    this.index = String(to)
    this.nonce = lendNonce + afterNonce(round.receiptsFor(number))
    this.user = round.user
    this.arrivedMs = arrivedMs
    this.#round = round
    this.#shard = number
  }

  decided(decision: DecisionReader): void {
    this.#round.answered(this.#shard, decision)
  }

  failed(): void {
    this.#round.fail('unavailable')
  }

  late(): void {
    this.#round.fail('late', { shard: this.#shard })
  }
}

/** A checkout that is offered once more, with what its shard is to hear of others. */
class OfferedAgain implements PendingCommand {
  readonly sale: number
  readonly index: string
  readonly nonce: string
  readonly user: string
  readonly arrivedMs: number
  readonly #command: BuyerCommand
  /** That it leads. */
  readonly #round: RightsRound | undefined

  constructor(command: BuyerCommand, addition: string, round: RightsRound | undefined) {
    this.sale = command.sale
    this.index = command.index
    this.nonce = command.nonce + addition
    this.user = command.user
    this.arrivedMs = command.arrivedMs
    this.#command = command
    this.#round = round
  }

  get trace(): PendingCommand['trace'] {
    return this.#command.trace
  }

  decided(decision: DecisionReader, logId: string, n: number): void {
    const { isDecided, outcome } = decision
    if (isDecided) {
      this.#command.decided(decision, logId, n)
      this.#round?.leaderDecided(outcome === 'user_limit_reached')
    } else if (this.#round === undefined) this.#command.unavailable()
    else this.#round.leaderUndecided(decision)
  }

  failed(fault: Fault): void {
    if (this.#round === undefined) this.#command.failed(fault)
    else this.#round.fail('unavailable', { fault })
  }

  late(): void {
    if (this.#round === undefined) this.#command.late()
    else this.#round.fail('late', { shard: this.#command.shard.number })
  }
}

import assert from 'node:assert/strict'
import type { Receipt } from '../../core/decisions.ts'
import { nonceLength } from '../../core/ids.ts'
import type { Reply } from '../../core/outcomes.ts'
import type { RightsOfUser, ShardEpoch } from '../../core/redis/rights-store.ts'
import { homeShard } from '../../core/rights.ts'
import { shardNumbers } from '../../core/shards.ts'
import type { RightsCommand, RightsDecided, RightsReply } from '../helpers/sharded-sale.ts'
import { isPlaced, ModelShard, type RightsTerms, type ShardCopy } from './rights-model.ts'

/** Symbolic: shards, users, items and messages are chosen by numbers of any size. */
export type RightsStep =
  | { readonly kind: 'batch'; readonly shard: number; readonly commands: readonly SymbolicCommand[] }
  | { readonly kind: 'round'; readonly user: number; readonly item: number }
  | { readonly kind: 'save'; readonly shard: number }
  | { readonly kind: 'lose'; readonly shards: readonly number[] }
  | { readonly kind: 'drop'; readonly message: number }
  | { readonly kind: 'clock'; readonly stepMs: number }
  | { readonly kind: 'finish' }

export type SymbolicCommand =
  | {
      readonly kind: 'checkout'
      readonly user: number
      readonly item: number
      readonly isStray: boolean
      readonly messages: readonly number[]
      readonly isLastWord: boolean
    }
  | { readonly kind: 'purchase'; readonly offer: number }
  | { readonly kind: 'lend'; readonly user: number; readonly to: number; readonly messages: readonly number[] }

export const users = ['ann', 'bob:1'] as const
export const itemsPerShard = 4
const firstEpoch = 1
const noOffer = 'p'.repeat(nonceLength)

/** The same shards in a real Redis. Everything is sent as it is, and what comes back is compared with the model's. */
export interface RealShards {
  /** Of a sale with those terms, with nothing in it; all in epoch 1. */
  open(terms: RightsTerms): Promise<void>
  setClock(nowMs: number): Promise<void>
  decide(shard: number, commands: readonly RightsCommand[]): Promise<RightsDecided>
  /** That it decides nothing. */
  assertRefused(shard: number, commands: readonly RightsCommand[]): Promise<void>
  /** Keeps what the shard has now, to be put back later. */
  save(shard: number): Promise<void>
  putBack(shard: number): Promise<void>
  acceptFrom(shard: number, peer: ShardEpoch): Promise<number>
  rightsWith(shard: number, peer: number, isAdmitted: boolean): Promise<RightsOfUser[]>
  restoreRights(shard: number, peer: number, users: readonly RightsOfUser[]): Promise<void>
  /** @returns how many buyers are left with more purchases than rights */
  settle(shards: readonly number[]): Promise<number>
  admit(shard: number, epochs: { old: number; new: number }, accepts: ReadonlyMap<number, number>): Promise<void>
  /** That each has what its model has, and that nobody has more than the limit by what Redis has. */
  assertLike(shards: readonly ModelShard[], nowMs: number): Promise<void>
}

/** A lender's reply, on its way to whoever asked. It may be lost, late, and delivered more than once. */
interface Message {
  readonly from: number
  readonly user: string
  readonly epoch: number
  readonly lent: readonly number[]
}

export class Tally {
  readonly replies = new Map<Reply, number>()
  readonly #events = new Map<string, number>()

  reply(reply: Reply): void {
    this.replies.set(reply, (this.replies.get(reply) ?? 0) + 1)
  }

  event(name: string): void {
    this.#events.set(name, (this.#events.get(name) ?? 0) + 1)
  }

  get all(): Record<string, number> {
    return Object.fromEntries([...this.replies, ...this.#events])
  }
}

export interface RunOptions {
  readonly startMs: number
  readonly real?: RealShards | undefined
  /**
   * What happens before a shard that has an older state decides again. none: nothing; unsettled: those that wait together
   * don't settle what all of them have forgotten.
   */
  readonly protocol: 'whole' | 'unsettled' | 'none'
  readonly tally: Tally
}

/** Plays steps on the model, and on a real Redis too if there is one. */
export class RightsRun {
  readonly #terms: RightsTerms
  readonly #options: RunOptions
  readonly #real: RealShards | undefined
  readonly #shards: readonly ModelShard[]
  readonly #copies: ShardCopy[]
  /** The newest epoch of each shard that anybody knows of: what Postgres has. */
  readonly #epochs: number[]
  #messages: Message[] = []
  /** What checkouts came with. Most of those that were refused are dropped, or hardly a purchase would succeed. */
  #offers: { index: number; nonce: string }[] = []
  #nonces = 0
  #nowMs: number
  #admission: AsyncGenerator<void> | undefined

  constructor(terms: RightsTerms, options: RunOptions) {
    this.#terms = terms
    this.#options = options
    this.#real = options.real
    this.#shards = shardNumbers(terms.shards).map((number) => new ModelShard(number, firstEpoch, terms))
    this.#epochs = this.#shards.map(() => firstEpoch)
    this.#copies = this.#shards.map((shard) => shard.copy())
    this.#nowMs = options.startMs
  }

  async begin(): Promise<void> {
    await this.#real?.open(this.#terms)
    await this.#real?.setClock(this.#nowMs)
    for (const { number } of this.#shards) await this.#real?.save(number)
  }

  async step(step: RightsStep): Promise<void> {
    await this.#take(step)
    await this.#goOn(2)
    await this.#check()
  }

  /** All shards decide at the end. */
  async finish(): Promise<void> {
    await this.#goOn(Number.POSITIVE_INFINITY)
    await this.#check()
  }

  async #check(): Promise<void> {
    await this.#real?.assertLike(this.#shards, this.#nowMs)
    for (const user of users) {
      const used = this.#used(user, this.#nowMs)
      assert.ok(used <= this.#terms.limit, `${user} has ${used} of ${this.#terms.limit}`)
    }
  }

  #used(user: string, nowMs: number): number {
    return this.#shards.reduce((total, shard) => total + shard.used(user, nowMs), 0)
  }

  async #take(step: RightsStep): Promise<void> {
    switch (step.kind) {
      case 'batch': {
        const shard = this.#shard(step.shard)
        const commands = step.commands.map((command) => this.#command(shard, command))
        if (commands.length > 0) await this.#decide(shard, commands)
        break
      }
      case 'round':
        if (this.#shards.every(({ isAdmitted }) => isAdmitted)) await this.#round(step.user, step.item)
        break
      case 'save': {
        const shard = this.#shard(step.shard)
        this.#copies[shard.number] = shard.copy()
        await this.#real?.save(shard.number)
        break
      }
      case 'lose':
        await this.#lose(new Set(step.shards.map((number) => this.#shard(number))))
        break
      case 'drop':
        if (this.#messages.length > 0) this.#messages.splice(step.message % this.#messages.length, 1)
        break
      case 'clock':
        this.#nowMs += step.stepMs
        await this.#real?.setClock(this.#nowMs)
        break
      case 'finish':
        await this.#goOn(Number.POSITIVE_INFINITY)
    }
  }

  #shard(number: number): ModelShard {
    return this.#shards[number % this.#shards.length] ?? assert.fail()
  }

  #command({ number }: ModelShard, command: SymbolicCommand): RightsCommand {
    const { shards } = this.#terms
    switch (command.kind) {
      case 'checkout': {
        const user = users[command.user % users.length] as string
        const receipts = this.#receipts(number, user, command.messages)
        const index = number + 1 + (command.item % itemsPerShard) * shards + (command.isStray ? 1 : 0)
        return { kind: 'checkout', index, nonce: this.#offer(index), user, receipts, isLastWord: command.isLastWord }
      }
      case 'purchase': {
        const here = this.#offers.filter(({ index }) => (index - 1) % shards === number)
        const { index, nonce } = here[command.offer % Math.max(1, here.length)] ?? { index: number + 1, nonce: noOffer }
        return { kind: 'purchase', index, nonce }
      }
      case 'lend': {
        const user = users[command.user % users.length] as string
        const receipts = this.#receipts(number, user, command.messages)
        return { kind: 'lend', to: command.to % (shards + 1), user, receipts }
      }
    }
  }

  #offer(index: number): string {
    const nonce = String(this.#nonces++).padStart(nonceLength, 'n')
    this.#offers.push({ index, nonce })
    return nonce
  }

  #receipts(to: number, user: string, picks: readonly number[]): Receipt[] {
    const messages = this.#messages.filter((message) => message.user === user)
    if (messages.length === 0) return []
    return picks.map((pick) => receiptFor(to, messages[pick % messages.length] as Message))
  }

  async #decide(shard: ModelShard, commands: readonly RightsCommand[]): Promise<readonly RightsReply[]> {
    if (!shard.isAdmitted) {
      await this.#real?.assertRefused(shard.number, commands)
      this.#options.tally.event('refused')
      return []
    }
    const decided = await this.#real?.decide(shard.number, commands)
    const replies = commands.map((command) => shard.decide(command, this.#nowMs))
    if (decided) {
      assert.deepEqual(decided.replies, replies, JSON.stringify(commands))
      assert.equal(decided.nowMs, this.#nowMs)
      assert.equal(decided.id !== '', replies.some(isPlaced), 'there is an entry if a command has a place in it')
    }
    for (const [n, reply] of replies.entries()) this.#note(shard, commands[n] as RightsCommand, reply)
    return replies
  }

  #note({ number }: ModelShard, command: RightsCommand, { reply, received, epoch, lent }: RightsReply): void {
    this.#options.tally.reply(reply)
    if (received.length > 0) this.#options.tally.event('received')
    if (command.kind === 'checkout' && reply !== 'held' && Number(command.nonce.slice(-1)) > 0)
      this.#offers = this.#offers.filter(({ nonce }) => nonce !== command.nonce)
    if (command.kind === 'lend' && epoch !== undefined && lent !== undefined)
      this.#messages.push({ from: number, user: command.user, epoch, lent })
  }

  /** What a worker does for a checkout that finds no right. With the last word its refusal must be right. */
  async #round(userPick: number, item: number): Promise<void> {
    const user = users[userPick % users.length] as string
    const index = 1 + (item % (itemsPerShard * this.#terms.shards))
    const shard = this.#shard(index - 1)
    const nonce = this.#offer(index)
    const checkout = { kind: 'checkout', index, nonce, user } as const
    let receipts: Receipt[] = []
    for (const isLastWord of [false, false, true]) {
      const startMs = this.#nowMs
      const used = this.#used(user, startMs)
      const [first] = await this.#decide(shard, [{ ...checkout, receipts, isLastWord }])
      if (first?.reply === 'user_limit_reached') {
        this.#options.tally.event('refusedAfterRound')
        assert.equal(used, this.#terms.limit, 'the refusal is right')
      }
      if (first?.reply !== 'rights_elsewhere') return
      receipts = await this.#askAll(shard.number, user)
    }
    assert.fail('the last word leaves nothing open')
  }

  /** Asks for a right at home first, then everywhere else; delivers everything that is under way. */
  async #askAll(to: number, user: string): Promise<Receipt[]> {
    const home = homeShard(user, this.#terms.shards)
    const order = this.#shards.toSorted((a, b) => Number(b.number === home) - Number(a.number === home))
    const asked: Message[] = []
    for (const lender of order) {
      if (lender.number === to) continue
      const [lent] = await this.#decide(lender, [{ kind: 'lend', to, user, receipts: [] }])
      asked.push({ from: lender.number, user, epoch: lent?.epoch ?? 0, lent: lent?.lent ?? [] })
    }
    const own = await this.#decide(this.#shard(to), [{ kind: 'lend', to, user, receipts: [] }])
    asked.push({ from: to, user, epoch: own[0]?.epoch ?? 0, lent: own[0]?.lent ?? [] })
    for (const receiver of order) {
      if (receiver.number === to) continue
      const receipts = asked.map((message) => receiptFor(receiver.number, message))
      await this.#decide(receiver, [{ kind: 'lend', to: receiver.number, user, receipts }])
    }
    return asked.map((message) => receiptFor(to, message))
  }

  async #lose(lost: ReadonlySet<ModelShard>): Promise<void> {
    for (const shard of lost) {
      shard.putBack(this.#copies[shard.number] as ShardCopy)
      await this.#real?.putBack(shard.number)
      this.#options.tally.event('lost')
    }
    if (this.#options.protocol === 'none') {
      for (const shard of lost) await this.#begin(shard, shard.epoch, new Map())
    } else {
      // Whoever was being admitted has to ask those that are lost now: it begins anew with them.
      this.#admission = this.#admit(this.#shards.filter(({ isAdmitted }) => !isAdmitted))
    }
  }

  async #goOn(steps: number): Promise<void> {
    for (let n = 0; n < steps && this.#admission; n++) {
      const { done } = await this.#admission.next()
      if (done === true) this.#admission = undefined
    }
  }

  /** The protocol of admission, in its steps: others decide between them. */
  async *#admit(waiting: readonly ModelShard[]): AsyncGenerator<void> {
    const others = this.#shards.filter(({ isAdmitted }) => isAdmitted)
    const epochs = new Map(waiting.map(({ number }) => [number, this.#nextEpoch(number)]))
    for (const other of others) {
      for (const [shard, epoch] of epochs) {
        other.acceptFrom(shard, epoch)
        const own = await this.#real?.acceptFrom(other.number, { shard, epoch })
        assert.equal(own ?? other.epoch, other.epoch)
      }
      yield
    }
    for (const other of others) {
      for (const shard of waiting) yield* this.#tell(other, shard)
    }
    for (const one of waiting) {
      for (const other of waiting) if (one !== other) yield* this.#tell(one, other)
    }
    if (this.#options.protocol === 'whole') await this.#settle(waiting)
    for (const shard of waiting) {
      const accepts = new Map([...others.map(({ number, epoch }) => [number, epoch] as const), ...epochs])
      accepts.delete(shard.number)
      await this.#begin(shard, epochs.get(shard.number) ?? 0, accepts)
      yield
    }
  }

  async #settle(waiting: readonly ModelShard[]): Promise<void> {
    const short = waiting.filter((shard) => this.#giveRights(shard, waiting) > 0)
    const left = short.flatMap((shard) => shard.shortOfRights(this.#nowMs, { cut: true }))
    assert.deepEqual(left, [], 'only holds are ever too many')
    assert.equal((await this.#real?.settle(waiting.map(({ number }) => number))) ?? 0, 0)
  }

  /** @returns how many are missing still */
  #giveRights(to: ModelShard, waiting: readonly ModelShard[]): number {
    let missing = 0
    for (const short of to.shortOfRights(this.#nowMs, { cut: false })) {
      this.#options.tally.event('short')
      let left = short.missing
      for (const giver of waiting) {
        if (giver === to || left === 0) continue
        const { given, total } = giver.give(to.number, short.user, left, this.#nowMs)
        if (given > 0) to.restoreRights(giver.number, [{ user: short.user, lent: 0, got: total }])
        left -= given
      }
      if (left > 0) this.#options.tally.event('cut')
      missing += left
    }
    return missing
  }

  #nextEpoch(shard: number): number {
    const epoch = 1 + (this.#epochs[shard] ?? 0)
    this.#epochs[shard] = epoch
    return epoch
  }

  /** What one shard knows of the rights between them, to one that waits. */
  async *#tell(from: ModelShard, to: ModelShard): AsyncGenerator<void> {
    const known = from.rightsWith(to.number)
    const found = await this.#real?.rightsWith(from.number, to.number, from.isAdmitted)
    if (found)
      assert.deepEqual(
        found,
        known.toSorted((a, b) => (a.user < b.user ? -1 : 1)),
      )
    yield
    const told = known.map(({ user, lent, got }) => ({ user, lent: got, got: lent }))
    if (told.length === 0) return
    to.restoreRights(from.number, told)
    await this.#real?.restoreRights(to.number, from.number, told)
  }

  async #begin(shard: ModelShard, epoch: number, accepts: ReadonlyMap<number, number>): Promise<void> {
    await this.#real?.admit(shard.number, { old: shard.epoch, new: epoch }, accepts)
    shard.admit(epoch, accepts)
    this.#options.tally.event('admitted')
  }
}

function receiptFor(to: number, { from, epoch, lent }: Message): Receipt {
  return { from, epoch, total: lent[to] ?? 0 }
}

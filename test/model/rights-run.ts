import assert from 'node:assert/strict'
import type { Receipt } from '../../core/decisions.ts'
import { nonceLength } from '../../core/ids.ts'
import type { Reply } from '../../core/outcomes.ts'
import type { RightsOfUser, ShardEpoch } from '../../core/redis/rights-store.ts'
import { homeShard } from '../../core/rights.ts'
import { shardNumbers } from '../../core/shards.ts'
import type { RightsCommand, RightsDecided, RightsReply } from '../helpers/sharded-sale.ts'
import { firstEpoch, RightsAdmission } from './rights-admission.ts'
import { isPlaced, ModelShard, type RightsTerms, type ShardCopy } from './rights-model.ts'

/** Symbolic: shards, users, items and messages are chosen by numbers of any size. */
export type RightsStep =
  | { readonly kind: 'batch'; readonly shard: number; readonly commands: readonly SymbolicCommand[] }
  | { readonly kind: 'round'; readonly user: number; readonly item: number }
  | { readonly kind: 'save'; readonly shard: number }
  | { readonly kind: 'lose'; readonly shards: readonly number[] }
  | { readonly kind: 'drain'; readonly shard: number }
  | { readonly kind: 'disk'; readonly shard: number }
  | { readonly kind: 'declare'; readonly shard: number }
  | { readonly kind: 'rebuild'; readonly shard: number }
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
  | { readonly kind: 'purchase' | 'release'; readonly offer: number }
  | { readonly kind: 'lend'; readonly user: number; readonly to: number; readonly messages: readonly number[] }

export const users = ['ann', 'bob:1'] as const
export const itemsPerShard = 4
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
   * don't settle what all of them have forgotten; unrecorded: nobody takes what is on record of a shard that was declared lost.
   */
  readonly protocol: 'whole' | 'unsettled' | 'unrecorded' | 'none'
  readonly tally: Tally
  /** A right that a shard gets back has to be in Postgres first. Not of the real shards, which have no Postgres here. */
  readonly drains?: boolean
}

/** Plays steps on the model, and on a real Redis too if there is one. */
export class RightsRun {
  readonly #terms: RightsTerms
  readonly #options: RunOptions
  readonly #real: RealShards | undefined
  readonly #shards: readonly ModelShard[]
  readonly #copies: ShardCopy[]
  /** What is in Postgres of each. */
  readonly #records: ShardCopy[]
  /** Shard -> the epoch that was begun when it was declared lost. */
  readonly #declared = new Map<number, number>()
  readonly #admitting: RightsAdmission
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
    this.#copies = this.#shards.map((shard) => shard.copy())
    this.#records = this.#shards.map((shard) => shard.onRecord())
    this.#nowMs = options.startMs
    this.#admitting = new RightsAdmission(this.#shards, {
      ...options,
      nowMs: () => this.#nowMs,
      drain: (shard) => {
        if (options.drains === true) this.#drain(shard)
      },
    })
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
    if (this.#declared.size > 0) {
      this.#declared.clear()
      this.#beginAdmission()
    }
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
      case 'drain':
        this.#drain(this.#shard(step.shard))
        break
      case 'disk': {
        const shard = this.#shard(step.shard)
        if (!this.#declared.has(shard.number)) this.#loseDisk(shard)
        this.#beginAdmission()
        break
      }
      case 'declare':
        this.#declareLost(this.#shard(step.shard))
        break
      case 'rebuild':
        if (this.#declared.delete(step.shard % this.#shards.length)) this.#beginAdmission()
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
      case 'purchase':
      case 'release': {
        const here = this.#offers.filter(({ index }) => (index - 1) % shards === number)
        const { index, nonce } = here[command.offer % Math.max(1, here.length)] ?? { index: number + 1, nonce: noOffer }
        return { kind: command.kind, index, nonce }
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
      if (this.#declared.has(shard.number)) continue
      shard.putBack(this.#copies[shard.number] as ShardCopy)
      await this.#real?.putBack(shard.number)
      this.#options.tally.event('lost')
    }
    if (this.#options.protocol !== 'none') this.#beginAdmission()
    else for (const shard of lost) await this.#admitting.begin(shard, shard.epoch, new Map())
  }

  /** All that the shard has decided is in Postgres: from now on it has no older state than that. */
  #drain(shard: ModelShard): void {
    if (this.#declared.has(shard.number)) return
    this.#copies[shard.number] = shard.copy()
    this.#records[shard.number] = shard.onRecord()
  }

  /** What was not drained is lost. It comes back as what is on record, as soon as it is admitted. */
  #loseDisk(shard: ModelShard): void {
    const record = this.#records[shard.number] as ShardCopy
    shard.putBack(record)
    this.#copies[shard.number] = record
    this.#options.tally.event('disk lost')
  }

  /** Nobody waits for it any more. */
  #declareLost(shard: ModelShard): void {
    if (this.#declared.has(shard.number)) return
    this.#loseDisk(shard)
    this.#declared.set(shard.number, this.#admitting.nextEpoch(shard.number))
    this.#options.tally.event('declared lost')
    this.#beginAdmission()
  }

  /** Whoever was being admitted has to ask those that are lost now: it begins anew with them. */
  #beginAdmission(): void {
    const waiting = this.#shards.filter(({ isAdmitted, number }) => !isAdmitted && !this.#declared.has(number))
    this.#admission = this.#admitting.admit(waiting, this.#declared)
  }

  async #goOn(steps: number): Promise<void> {
    for (let n = 0; n < steps && this.#admission; n++) {
      const { done } = await this.#admission.next()
      if (done === true) this.#admission = undefined
    }
  }
}

function receiptFor(to: number, { from, epoch, lent }: Message): Receipt {
  return { from, epoch, total: lent[to] ?? 0 }
}

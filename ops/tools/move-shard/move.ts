import { Fault } from '../../../core/faults.ts'
import type { Queries } from '../../../core/recovery/record-head.ts'
import { slotOfShard } from '../../../core/redis/cluster-slot.ts'
import { SlotMove } from '../../cluster/slot-move.ts'
import { moveSayMs } from '../../limits.ts'
import { assertMovable, assertWell, megabytes } from './checks.ts'
import { Closing, type ClosingOptions } from './closing.ts'
import type { Interruption } from './interruption.ts'
import type { MoveNodes } from './nodes.ts'

export interface ShardMoveOptions extends Omit<ClosingOptions, 'stores'> {
  readonly nodes: MoveNodes
  readonly interruption: Interruption
  /** Connections to the masters of all shards, where they are now. */
  readonly open: () => Promise<ClosingOptions['stores']>
}

/** How far it has come: before the first key it goes back, later it has to be finished. */
type Progress = 'open' | 'closed' | 'moving' | 'there'

/** One move of a shard, from wherever an earlier attempt has left it. */
export class ShardMove {
  readonly #options: ShardMoveOptions
  readonly #slotMove: SlotMove
  #progress: Progress = 'open'
  #closedMs = 0

  constructor(options: ShardMoveOptions) {
    const { nodes, config, shard } = options
    this.#options = options
    this.#slotMove = new SlotMove({ ...nodes, shard, account: config.redis })
  }

  /** Whether a key has moved: then nothing but the same move, run to its end, opens the shard again. */
  get isUnderWay(): boolean {
    return this.#progress === 'moving' || this.#progress === 'there'
  }

  /** @throws Fault; BrokenOff after it has gone back */
  async run(): Promise<void> {
    const { nodes, say, shard } = this.#options
    if (nodes.from === nodes.to) {
      say(`shard ${shard} is at ${nodes.to.name}`)
      this.#closedMs = performance.now()
      this.#progress = 'there'
      await this.#tellMasters()
    } else if (await this.#isBegun()) await this.#goOn()
    else await this.#begin()
    await this.#admit()
  }

  async #begin(): Promise<void> {
    const { nodes, shard, config, say, interruption } = this.#options
    const { requireDurable } = config.redis
    const load = await assertMovable({ nodes, shard, requireDurable, say })
    say(
      `shard ${shard} is at ${nodes.from.name}, and moves to ${nodes.to.name}: ${load.keys} keys, some ${megabytes(load.bytes)} MB`,
    )
    const stores = await this.#options.open()
    const closing = new Closing({ ...this.#options, stores })
    try {
      await closing.alone(async (session) => {
        interruption.throwIfAsked()
        await this.#close(closing, session)
        await closing.drain(session, () => interruption.throwIfAsked())
        await this.#slotMove.begin()
        interruption.throwIfAsked()
        await this.#moveAll(load.keys)
      })
    } catch (error) {
      if (this.#progress === 'closed') await this.#goBack(closing)
      throw error
    } finally {
      for (const store of stores) store.close()
    }
  }

  async #close(closing: Closing, session: Queries): Promise<void> {
    const { shard, say } = this.#options
    this.#closedMs = performance.now()
    this.#progress = 'closed'
    await closing.fence(session)
    say(`shard ${shard} is closed: its items are answered 503, and the others are sold`)
  }

  async #goBack(closing: Closing): Promise<void> {
    const { shard, nodes, say } = this.#options
    say(`going back: shard ${shard} stays at ${nodes.from.name}`)
    try {
      await this.#slotMove.cancel()
      await closing.admit()
      this.#progress = 'open'
      say(`shard ${shard} is admitted again. It was closed for ${this.#seconds} s`)
    } catch (error) {
      // What made it go back says more. A server admits what is whole.
      if (!(error instanceof Fault)) throw error
      say(`a server has to admit shard ${shard} now: ${error.message}`)
    }
  }

  /** An earlier attempt has moved some keys, so nobody decides there. One that has moved none is begun anew. */
  async #isBegun(): Promise<boolean> {
    const { nodes, shard } = this.#options
    const { from, to, masters } = nodes
    const open = await from.openSlot(slotOfShard(shard))
    if (open?.is !== 'migrating') return false
    const peer = masters.flatMap(({ view }) => view.nodes).find(({ id }) => id === open.peer)
    // Or it was to a master in whose place this one is now.
    if (open.peer !== to.id && peer?.masterId !== to.id) {
      const where = peer?.address === undefined ? `node ${open.peer}` : `${peer.address.host}:${peer.address.port}`
      const advice = `finish that one first, with --to ${where}`
      const otherwise = `If that node is gone for good: CLUSTER SETSLOT ${slotOfShard(shard)} STABLE at ${from.name}, and what has moved is rebuilt from Postgres`
      throw new Fault('HC_REDIS_CLUSTER', `shard ${shard} is on its way to ${where}: ${advice}. ${otherwise}`)
    }
    if ((await this.#slotMove.count(to)) > 0) return true
    await this.#slotMove.cancel()
    return false
  }

  async #goOn(): Promise<void> {
    const { nodes, shard, say } = this.#options
    const left = await this.#slotMove.count(nodes.from)
    say(`going on: ${left} keys of shard ${shard} are still at ${nodes.from.name}`)
    this.#closedMs = performance.now()
    this.#progress = 'moving'
    const closing = new Closing({ ...this.#options, stores: [] })
    await closing.alone(async () => {
      for (const member of [nodes.from, nodes.to]) await assertWell(member)
      await this.#slotMove.resume()
      await this.#moveAll(left)
    })
  }

  async #moveAll(keys: number): Promise<void> {
    const { say, shard } = this.#options
    this.#progress = 'moving'
    let moved = 0
    let sayMs = performance.now() + moveSayMs
    await this.#slotMove.moveKeys(() => {
      moved++
      if (performance.now() < sayMs) return
      sayMs = performance.now() + moveSayMs
      say(`moving: ${moved} of some ${keys} keys of shard ${shard}`)
    })
    await this.#slotMove.end()
    this.#progress = 'there'
  }

  /** An earlier attempt may have told the new master alone. */
  async #tellMasters(): Promise<void> {
    const { nodes, shard } = this.#options
    const slot = slotOfShard(shard)
    for (const member of nodes.masters) {
      if (member === nodes.to) continue
      await member.call('SETSLOT', slot, 'NODE', nodes.to.id).catch((error: unknown) => {
        if (!(error instanceof Fault)) throw error
      })
    }
  }

  async #admit(): Promise<void> {
    const { shard, nodes, say } = this.#options
    const stores = await this.#options.open()
    try {
      await new Closing({ ...this.#options, stores }).admit()
    } finally {
      for (const store of stores) store.close()
    }
    say(`shard ${shard} is at ${nodes.to.name}, and admitted. It was closed for ${this.#seconds} s`)
  }

  get #seconds(): string {
    return ((performance.now() - this.#closedMs) / 1_000).toFixed(1)
  }
}

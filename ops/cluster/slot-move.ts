import { setTimeout as delay } from 'node:timers/promises'

import { Fault, undefinedForFault } from '../../core/faults.ts'
import { slotOfShard } from '../../core/redis/cluster-slot.ts'
import type { RedisSettings } from '../../core/redis/connection.ts'
import { shardKeys } from '../../core/redis/keys.ts'
import {
  moveAgainMs,
  moveBytesPerSecondMin,
  moveKeyAttemptsMax,
  moveKeyMsMax,
  moveKeysPerList,
  moveSilenceMsMax,
} from '../limits.ts'
import type { Member } from './member.ts'

export interface SlotMoveOptions {
  readonly shard: number
  readonly from: Member
  readonly to: Member
  /** A connection to the old master that waits for as long as a key takes. */
  readonly sender: Member
  /** All masters that can be reached. */
  readonly masters: readonly Member[]
  /** As whom one master writes to the other. */
  readonly account: Pick<RedisSettings, 'user' | 'password'>
}

/**
 * Moves the slot of a shard between two masters of a cluster. It may be broken off anywhere and begun again.
 *
 * The log goes first and the list of sales last. So whoever breaks it off and gives the slot to either of the two by force
 * leaves a shard that counts as lost, and not one that seems whole: without its log it is behind the record, without its list it
 * has no epoch.
 */
export class SlotMove {
  readonly #options: SlotMoveOptions
  readonly #slot: number

  constructor(options: SlotMoveOptions) {
    this.#options = options
    this.#slot = slotOfShard(options.shard)
  }

  /** How many keys are in the slot there. */
  async count(member: Member): Promise<number> {
    return Number(await member.call('COUNTKEYSINSLOT', this.#slot))
  }

  /**
   * From here on no call at the old master makes a key that isn't there, and none that needs a key that has gone is run.
   * What a move before has left at the new one is dropped: the old one's are newer.
   */
  async begin(): Promise<void> {
    const { from, to } = this.#options
    // As long as a node expects a slot it takes no news of it: after an attempt that was broken off it may know no owner at all.
    await to.call('SETSLOT', this.#slot, 'NODE', from.id)
    await to.call('SETSLOT', this.#slot, 'IMPORTING', from.id)
    for (let keys = await this.#keys(to); keys.length > 0; keys = await this.#keys(to)) {
      for (const key of keys) {
        await to.run('ASKING')
        await to.run('UNLINK', key)
      }
    }
    await this.resume()
  }

  /** After a failover of either of the two the new master doesn't know any more that the slot is on its way. */
  async resume(): Promise<void> {
    const { from, to } = this.#options
    await to.call('SETSLOT', this.#slot, 'IMPORTING', from.id)
    await from.call('SETSLOT', this.#slot, 'MIGRATING', to.id)
  }

  /** Nothing was moved: back to where it was. */
  async cancel(): Promise<void> {
    for (const member of [this.#options.from, this.#options.to]) await member.call('SETSLOT', this.#slot, 'STABLE')
  }

  /** @param moved called after each key */
  async moveKeys(moved: () => void): Promise<void> {
    const { from, shard } = this.#options
    // Of more keys than one list has it may be in none of the first.
    await this.moveKey(shardKeys(shard).log)
    moved()
    for (let keys = await this.#keys(from); keys.length > 0; keys = await this.#keys(from)) {
      for (const key of this.#inOrder(keys)) {
        await this.moveKey(key)
        moved()
      }
    }
  }

  /** As if it were there already, or had gone meanwhile. One at a time: both masters are busy with nothing else. */
  async moveKey(key: string): Promise<void> {
    const { from, to, sender, account } = this.#options
    const { user, password } = account
    const auth = password === '' ? [] : user === '' ? ['AUTH', password] : ['AUTH2', user, password]
    const { host, port } = from.addressOf(to)
    const bytes = Number((await from.run('MEMORY', 'USAGE', key).catch(undefinedForFault)) ?? 0)
    const silenceMs = moveSilenceMsMax + Math.ceil((1_000 * bytes) / moveBytesPerSecondMin)
    const timeoutMs = Math.min(silenceMs, moveKeyMsMax)
    for (let attempt = 1; ; attempt++) {
      try {
        await sender.run('MIGRATE', host, port, '', 0, timeoutMs, 'REPLACE', ...auth, 'KEYS', key)
        return
      } catch (error) {
        // Whether the key is at both or at the old one alone: it is sent whole again.
        if (!isSilence(error) || attempt === moveKeyAttemptsMax) throw error
        await delay(moveAgainMs)
      }
    }
  }

  /** The new master first: it begins an epoch of the cluster, so it has the slot whatever becomes of the others. */
  async end(): Promise<void> {
    const { from, to, masters } = this.#options
    await to.call('SETSLOT', this.#slot, 'NODE', to.id)
    // All others hear of it by themselves. A master that had no other slot may be a replica of the new one by now
    // (cluster-allow-replica-migration), and is told nothing any more.
    await from.call('SETSLOT', this.#slot, 'NODE', to.id).catch(undefinedForFault)
    for (const member of masters) {
      if (member !== from && member !== to)
        await member.call('SETSLOT', this.#slot, 'NODE', to.id).catch(undefinedForFault)
    }
  }

  async #keys(member: Member): Promise<string[]> {
    return (await member.call('GETKEYSINSLOT', this.#slot, moveKeysPerList)) as string[]
  }

  /** Without the list of sales as long as there may be more keys than these. */
  #inOrder(keys: readonly string[]): string[] {
    const { sales } = shardKeys(this.#options.shard)
    const others = keys.filter((key) => key !== sales)
    return keys.length === others.length || keys.length === moveKeysPerList ? others : [...others, sales]
  }
}

/** The other master could not be reached, or did not answer in time. */
function isSilence(error: unknown): boolean {
  return error instanceof Fault && error.message.includes('IOERR ')
}

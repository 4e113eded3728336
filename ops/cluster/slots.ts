import { shardsMax } from '../../core/limits.ts'
import { clusterSlots, slotOfShard } from '../../core/redis/cluster-slot.ts'
import { shardNumbers } from '../../core/shards.ts'
import type { Member } from './member.ts'

/**
 * Gives each slot that nobody has to a master: a shard's to the one of its number (modulo their count), the others in equal
 * ranges. Each node knows its own for certain, and may not have heard of all others'.
 * @returns what was done, in sentences
 */
export async function giveSlots(members: readonly Member[], masters: readonly Member[]): Promise<string[]> {
  const owners = slotOwners(members)
  const shardOfSlot = new Map(shardNumbers(shardsMax).map((shard) => [slotOfShard(shard), shard]))
  const wanted = masters.map((): number[] => [])
  for (let slot = 0; slot < clusterSlots; slot++) {
    const even = Math.floor((slot * masters.length) / clusterSlots)
    if (owners[slot] === undefined) wanted[(shardOfSlot.get(slot) ?? even) % masters.length]?.push(slot)
  }
  const done: string[] = []
  for (const [at, slots] of wanted.entries()) {
    const master = masters[at]
    if (master === undefined || slots.length === 0) continue
    await master.call('ADDSLOTSRANGE', ...rangesOf(slots))
    done.push(`${master.name} has ${slots.length} more slots`)
  }
  return done
}

/**
 * Of several shards on one master, while another one has fewer, the later ones go there if nobody has used them. A shard
 * with keys stays: nothing moves by itself.
 * @returns what was done, in sentences
 */
export async function spreadShards(
  members: readonly Member[],
  masters: readonly Member[],
  shards: number,
): Promise<string[]> {
  const owners = slotOwners(members)
  const shareMax = Math.ceil(shards / masters.length)
  const shares = new Map(masters.map((master) => [master, 0]))
  const surplus: number[] = []
  for (const shard of shardNumbers(shards)) {
    const owner = owners[slotOfShard(shard)]
    if (owner === undefined) continue
    const share = (shares.get(owner) ?? 0) + 1
    if (share > shareMax && !(await hasKeys(owner, slotOfShard(shard)))) surplus.push(shard)
    else shares.set(owner, share)
  }
  const done: string[] = []
  for (const shard of surplus) {
    const [to] = masters.toSorted((a, b) => (shares.get(a) ?? 0) - (shares.get(b) ?? 0))
    const from = owners[slotOfShard(shard)]
    if (to === undefined || from === undefined) continue
    if (!(await moveEmptySlot(slotOfShard(shard), from, to))) continue
    shares.set(to, (shares.get(to) ?? 0) + 1)
    done.push(`shard ${shard}, which nobody has used yet, is at ${to.name} now; it was at ${from.name}`)
  }
  return done
}

/** @returns whether it was moved: a key may have come meanwhile */
async function moveEmptySlot(slot: number, from: Member, to: Member): Promise<boolean> {
  await to.call('SETSLOT', slot, 'IMPORTING', from.id)
  await from.call('SETSLOT', slot, 'MIGRATING', to.id)
  // From here on nobody can write a key there that is not there yet.
  if (await hasKeys(from, slot)) {
    for (const member of [from, to]) await member.call('SETSLOT', slot, 'STABLE')
    return false
  }
  for (const member of [to, from]) await member.call('SETSLOT', slot, 'NODE', to.id)
  return true
}

async function hasKeys(member: Member, slot: number): Promise<boolean> {
  return Number(await member.call('COUNTKEYSINSLOT', slot)) > 0
}

/** Slot -> who says so of itself; of two the one with the higher epoch. */
export function slotOwners(members: readonly Member[]): (Member | undefined)[] {
  const owners: (Member | undefined)[] = Array.from({ length: clusterSlots })
  for (const member of members.toSorted((a, b) => a.self.epoch - b.self.epoch)) {
    for (const [first, last] of member.self.slots) owners.fill(member, first, last + 1)
  }
  return owners
}

/** Ascending numbers as first, last, first, last ... */
function rangesOf(slots: readonly number[]): number[] {
  const ranges: number[] = []
  for (const slot of slots) {
    if (ranges.at(-1) === slot - 1) ranges[ranges.length - 1] = slot
    else ranges.push(slot, slot)
  }
  return ranges
}

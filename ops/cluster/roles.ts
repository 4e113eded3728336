import { Fault } from '../../core/faults.ts'
import type { Member } from './member.ts'

/** Who is to have slots, and who stands by for whom. */
export interface Roles {
  readonly masters: readonly Member[]
  /** Replica -> its master: those that are one, and those that become one. */
  readonly replicas: ReadonlyMap<Member, Member>
}

/**
 * What has slots, or is a replica, stays so: after a failover the nodes have changed their parts. Of the others the first
 * become masters until there are enough, and the rest replicas of the masters that have the fewest.
 * @throws Fault HC_REDIS_CLUSTER when the nodes are not as many as masters with their replicas make
 */
export function rolesOf(members: readonly Member[], replicasEach: number): Roles {
  const count = members.length / (1 + replicasEach)
  if (!Number.isInteger(count)) {
    const what = `${members.length} nodes are no masters with ${replicasEach} ${replicasEach === 1 ? 'replica' : 'replicas'} each`
    throw new Fault(
      'HC_REDIS_CLUSTER',
      `${what}: name ${1 + replicasEach}, ${2 + 2 * replicasEach}, ${3 + 3 * replicasEach} ...`,
    )
  }
  const byId = new Map(members.map((member) => [member.id, member]))
  const replicas = new Map<Member, Member>()
  for (const member of members) {
    const master = byId.get(member.self.masterId ?? '')
    if (master !== undefined) replicas.set(member, master)
  }
  const free = members.filter(({ self }) => self.masterId === undefined && self.slots.length === 0)
  const owners = members.filter(({ self }) => self.slots.length > 0)
  if (owners.length > count) {
    const what = `${owners.length} masters have slots, and ${members.length} nodes with ${replicasEach} replicas each are ${count}`
    throw new Fault('HC_REDIS_CLUSTER', `${what}: name more nodes, or ask for fewer replicas`)
  }
  const grown = new Set([...owners, ...free.slice(0, count - owners.length)])
  const masters = members.filter((member) => grown.has(member))
  for (const member of free.filter((each) => !grown.has(each))) {
    const countOf = (master: Member) => [...replicas.values()].filter((each) => each === master).length
    const [poorest] = masters.toSorted((a, b) => countOf(a) - countOf(b))
    if (poorest !== undefined) replicas.set(member, poorest)
  }
  return { masters, replicas }
}

/** @returns what is missing; undefined: each replica has what its master has */
export async function attachReplicas({ replicas }: Roles, done: Set<string>): Promise<string | undefined> {
  for (const [replica, master] of replicas) {
    await replica.look()
    if (replica.self.masterId !== master.id) {
      // It has to have heard of the master as one: then it may be told again.
      if (!isMasterTo(replica, master)) return `${replica.name} doesn't know ${master.name} as a master`
      await replica.call('REPLICATE', master.id)
      done.add(`${replica.name} is a replica of ${master.name} now`)
      return `${replica.name} has not begun to copy`
    }
    if ((await replica.info()).get('master_link_status') !== 'up') {
      return `${replica.name} can't copy from ${master.name} (with users, it needs masteruser and masterauth)`
    }
  }
  return undefined
}

function isMasterTo(replica: Member, { id }: Member): boolean {
  const known = replica.view.nodes.find((node) => node.id === id)
  return known !== undefined && known.masterId === undefined && known.isConnected
}

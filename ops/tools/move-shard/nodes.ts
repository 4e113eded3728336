import { listedNodes } from '../../../core/config/cluster-nodes.ts'
import { hostAndPort } from '../../../core/config/listen-hosts.ts'
import { Fault, undefinedForFault } from '../../../core/faults.ts'
import { slotOfShard } from '../../../core/redis/cluster-slot.ts'
import { distinctAddresses, ownerOf } from '../../../core/redis/cluster-view.ts'
import { askNode, askView, type RedisSettings } from '../../../core/redis/connection.ts'
import { type ClusterPlace, Member } from '../../cluster/member.ts'
import { moveKeyMsMax } from '../../limits.ts'

/** Who takes part in a move. */
export interface MoveNodes {
  /** Whoever has the slot now: the target itself, when it is there. */
  readonly from: Member
  readonly to: Member
  /** A second connection to `from`, that waits for as long as a key takes. */
  readonly sender: Member
  /** That can be reached: the target is among them if it is one. */
  readonly masters: readonly Member[]
  close(): void
}

/** The other master is waited for at each of its steps: to connect, to take the key, to answer. */
const senderOptions = { commandTimeoutMs: 3 * moveKeyMsMax }

/** @throws Fault HC_REDIS_CLUSTER when it is not to be moved there; HC_REDIS_UNAVAILABLE; HC_REDIS_REFUSED */
export async function openNodes(account: RedisSettings, shard: number, target: string): Promise<MoveNodes> {
  const members: Member[] = []
  const close = () => {
    for (const member of members) member.close()
  }
  try {
    const to = await Member.open(placeAt(target), account)
    members.push(to)
    if (to.self.masterId !== undefined) {
      const advice = 'name a master, or have it take over first (CLUSTER FAILOVER)'
      throw new Fault('HC_REDIS_CLUSTER', `${to.name} is a replica: ${advice}`)
    }
    const others = await openMasters(account, to)
    members.push(...others)
    // What a stranger thinks that it has is no matter of this cluster.
    const isMember = others.length === 0 || others.some((other) => other.knows(to) !== 'not')
    const masters = isMember ? [to, ...others] : others
    const views = masters.map(({ view }) => view)
    const node = ownerOf(slotOfShard(shard), views)?.node
    const from = [to, ...others].find(({ id }) => id === node?.id)
    if (from === undefined) {
      const where = node?.address === undefined ? 'nowhere' : `at ${hostAndPort(node.address.host, node.address.port)}`
      throw new Fault('HC_REDIS_UNAVAILABLE', `shard ${shard} is ${where}, and that node can't be asked`)
    }
    const sender = await Member.open(from.place, account, senderOptions)
    members.push(sender)
    return { from, to, sender, masters, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Of the cluster, without the target. Those that can't be reached are no part of it. */
async function openMasters(account: RedisSettings, to: Member): Promise<Member[]> {
  const listed = listedNodes(account.cluster ?? '')
  const asked = await Promise.allSettled(listed.map((node) => askNode(account, node, (redis) => askView(redis, node))))
  const views = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const reasons = asked.flatMap((each) => (each.status === 'rejected' ? [each.reason as Error] : []))
  const [reason] = reasons
  if (views.length === 0 && reason !== undefined) throw reason
  const nodes = views.flatMap((view) => view.nodes)
  const masters = nodes.filter(({ id, masterId, hasFailed }) => masterId === undefined && !hasFailed && id !== to.id)
  const opened: Member[] = []
  for (const address of distinctAddresses(masters.flatMap((master) => master.address ?? []))) {
    const place = { name: hostAndPort(address.host, address.port), address }
    const member = await Member.open(place, account).catch(undefinedForFault)
    if (member === undefined) continue
    const isKnown = member.id === to.id || opened.some(({ id }) => id === member.id)
    if (isKnown || member.self.masterId !== undefined) member.close()
    else opened.push(member)
  }
  return opened
}

function placeAt(text: string): ClusterPlace {
  const [address] = listedNodes(text)
  if (address === undefined) throw new RangeError(`no node: ${text}`)
  return { name: hostAndPort(address.host, address.port), address }
}

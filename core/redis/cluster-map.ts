import assert from 'node:assert/strict'
import type { NodeAddress } from '../config/cluster-nodes.ts'
import { hostAndPort } from '../config/listen-hosts.ts'
import { Fault } from '../faults.ts'
import { clusterLookSharedMs, clusterNodesAskedMax, clusterStragglersMsMax } from '../limits.ts'
import { startTimeLimit } from '../time-limit.ts'
import { slotOfShard } from './cluster-slot.ts'
import { type ClusterView, distinctAddresses, ownerOf } from './cluster-view.ts'

export interface ClusterMapOptions {
  /** The nodes of REDIS_CLUSTER. */
  readonly listed: readonly NodeAddress[]
  /** One node's map. It must be bounded. @throws Fault */
  readonly ask: (node: NodeAddress) => Promise<ClusterView>
}

/** A shard's master as a look found it. */
export interface ShardMaster {
  readonly id: string
  readonly address: NodeAddress
  readonly epoch: number
}

interface Follower {
  readonly shard: number
  readonly master: ShardMaster
  /** Called once at most: the shard has another master since. */
  readonly onMoved: () => void
}

interface Look {
  readonly beganMs: number
  readonly views: Promise<readonly ClusterView[]>
}

/**
 * Where the shards of a Redis Cluster are. Looked up anew whenever somebody needs a connection, at all nodes that are listed
 * or known, because each tells its own map: that of a master that was cut off is out of date, and it may be the first to
 * answer. A process has one of these for all its connections: they lose theirs at the same moment, and share a look then.
 */
export class ClusterMap {
  readonly #listed: readonly NodeAddress[]
  readonly #ask: ClusterMapOptions['ask']
  readonly #followers = new Set<Follower>()
  /** Addresses of all members, as of the last look. */
  #known: readonly NodeAddress[] = []
  #look: Look | undefined

  constructor({ listed, ask }: ClusterMapOptions) {
    assert(listed.length > 0, 'somebody can be asked')
    this.#listed = listed
    this.#ask = ask
  }

  /** @throws Fault HC_REDIS_UNAVAILABLE | HC_REDIS_REFUSED */
  async masterOf(shard: number): Promise<ShardMaster> {
    const views = await this.#lookedUp()
    const slot = slotOfShard(shard)
    const node = ownerOf(slot, views)?.node
    if (node?.address === undefined) {
      const what =
        node === undefined ? 'no node of the cluster has it' : `the cluster has no address of node ${node.id}`
      throw new Fault('HC_REDIS_UNAVAILABLE', `shard ${shard} is in slot ${slot}, and ${what}`)
    }
    return { id: node.id, address: node.address, epoch: node.epoch }
  }

  /**
   * Has a connection be told when a later look finds that its shard has moved: a subscriber, or a read that waits, would not
   * notice by itself. Returns what ends it.
   */
  follow(follower: Follower): () => void {
    this.#followers.add(follower)
    return () => void this.#followers.delete(follower)
  }

  async #lookedUp(): Promise<readonly ClusterView[]> {
    const now = performance.now()
    if (this.#look === undefined || now - this.#look.beganMs > clusterLookSharedMs) {
      this.#look = { beganMs: now, views: this.#lookUp() }
    }
    return await this.#look.views
  }

  async #lookUp(): Promise<readonly ClusterView[]> {
    const asked = distinctAddresses([...this.#listed, ...this.#known]).slice(0, clusterNodesAskedMax)
    const views = await firstAnswers(asked.map(async (node) => await this.#ask(node).catch(namedAfter(node))))
    this.#known = distinctAddresses(views.flatMap(({ nodes }) => nodes.flatMap(({ address }) => address ?? [])))
    this.#tellFollowers(views)
    return views
  }

  /** Only of what is newer than what they know: this look may have missed whoever knows best. */
  #tellFollowers(views: readonly ClusterView[]): void {
    for (const follower of this.#followers) {
      const { shard, master, onMoved } = follower
      const now = ownerOf(slotOfShard(shard), views)?.node
      if (now === undefined || now.id === master.id || now.epoch <= master.epoch) continue
      this.#followers.delete(follower)
      onMoved()
    }
  }
}

function namedAfter({ host, port }: NodeAddress): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof Fault)) throw error
    throw new Fault(error.code, `${hostAndPort(host, port)}: ${error.message}`)
  }
}

/** What comes before the last has answered, or `clusterStragglersMsMax` after the first. @throws Fault when nobody answers */
async function firstAnswers(answers: readonly Promise<ClusterView>[]): Promise<readonly ClusterView[]> {
  const views: ClusterView[] = []
  const collected = answers.map(async (answer) => views.push(await answer))
  const all = Promise.allSettled(collected)
  await Promise.any(collected).catch(() => undefined) // nobody: then all have failed, and their reasons are below
  await new Promise<void>((resolve) => {
    const endLimit = startTimeLimit(clusterStragglersMsMax, resolve)
    void all.then(endLimit).then(resolve)
  })
  if (views.length > 0) return [...views]
  throw reasonOf(await all)
}

/** A node that refuses us says more than one that is away. */
function reasonOf(results: readonly PromiseSettledResult<unknown>[]): Error {
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
  const faults = reasons.filter((reason) => reason instanceof Fault)
  const bug = reasons.find((reason) => !(reason instanceof Fault))
  if (bug !== undefined) return bug
  const code = faults.find((fault) => fault.code !== 'HC_REDIS_UNAVAILABLE')?.code ?? 'HC_REDIS_UNAVAILABLE'
  return new Fault(
    code,
    `no node of the cluster tells where the shards are: ${faults.map(({ message }) => message).join('; ')}`,
  )
}

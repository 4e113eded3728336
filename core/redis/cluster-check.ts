import { listedNodes, type NodeAddress, redisPlace } from '../config/cluster-nodes.ts'
import { hostAndPort } from '../config/listen-hosts.ts'
import { Fault } from '../faults.ts'
import { shardNumbers } from '../shards.ts'
import { slotOfShard } from './cluster-slot.ts'
import { type ClusterView, distinctAddresses, type KnownNode, ownerOf } from './cluster-view.ts'
import { askNode, askView, type RedisConnection, type RedisSettings, redisFault } from './connection.ts'
import { readInfo } from './info.ts'

export interface ClusterCheck {
  /** Sentences for the log: the server can start, and somebody should know. */
  readonly warnings: readonly string[]
}

/**
 * Whether Redis is what the settings say, one Redis or a cluster, and a cluster has what the shards need. For the primary,
 * at each start before it opens the first shard: what that would meet in a Redis of the wrong kind is harder to read. It
 * asks all nodes at once, so an attempt takes as long as the slowest may, some seconds:
 *
 *     whenAvailable(() => checkCluster(config.redis, config.shardCount), { unavailable: 'HC_REDIS_UNAVAILABLE', ... })
 *
 * Before Postgres was asked, `shardCount` is APP_SHARDS: shards that only older sales have are looked for like these when
 * they are opened.
 *
 * @throws Fault HC_REDIS_CLUSTER where somebody has to change something; HC_REDIS_REFUSED; HC_REDIS_UNAVAILABLE where it
 *   may pass: a node is away, a failover is under way, or the cluster is just being set up
 */
export async function checkCluster(settings: RedisSettings, shardCount: number): Promise<ClusterCheck> {
  const { cluster = '' } = settings
  if (cluster !== '') return await new Check(settings, shardCount).run()
  const node = { host: settings.host, port: settings.port }
  const { mode } = await look(settings, node).catch((error: unknown) => {
    const { code, message } = redisFault(error)
    throw new Fault(code, `${redisPlace(settings)}: ${message}`)
  })
  if (mode === 'one') return { warnings: [] }
  const advice = mode === 'cluster' ? 'name nodes of it in REDIS_CLUSTER instead' : 'name the Redis that it watches'
  throw new Fault('HC_REDIS_CLUSTER', `REDIS_HOST leads to ${meant[mode]}: ${advice}`)
}

const meant = {
  one: 'a Redis that is no cluster',
  cluster: 'a node of a Redis Cluster',
  sentinel: 'a Sentinel',
} as const

/** What one node says. */
interface NodeLook {
  readonly address: NodeAddress
  readonly mode: keyof typeof meant
  /** `Redis 7.0.15` */
  readonly version: string
  /** Of a node of a cluster. */
  readonly view: ClusterView
  /** cluster-require-full-coverage; undefined: it may not be asked. */
  readonly needsFullCoverage: boolean | undefined
  /** min-replicas-to-write; 0 too when it may not be asked. */
  readonly replicasNeeded: number
}

type Asked = { readonly address: NodeAddress } & ({ readonly look: NodeLook } | { readonly fault: Fault })

/** The checks of one start, in the order of their needs. */
class Check {
  readonly #settings: RedisSettings
  readonly #shards: readonly number[]
  readonly #warnings: string[] = []

  constructor(settings: RedisSettings, shardCount: number) {
    this.#settings = settings
    this.#shards = shardNumbers(shardCount)
  }

  async run(): Promise<ClusterCheck> {
    const listed = this.#members(await this.#askAll(listedNodes(this.#settings.cluster ?? '')))
    const views = listed.map(({ view }) => view)
    const masters = this.#masters(views)
    const others = await this.#partners(masters, listed)
    const all = [...listed, ...others]
    this.#assertCoverage(all)
    this.#compareVersions(all)
    this.#compareReplicas(all)
    this.#compareShares(masters, views)
    return { warnings: this.#warnings }
  }

  async #askAll(addresses: readonly NodeAddress[]): Promise<readonly Asked[]> {
    return await Promise.all(
      addresses.map(async (address): Promise<Asked> => {
        try {
          return { address, look: await look(this.#settings, address) }
        } catch (error) {
          return { address, fault: redisFault(error) }
        }
      }),
    )
  }

  /** Of the listed nodes those that are there, in one cluster. */
  #members(asked: readonly Asked[]): readonly NodeLook[] {
    const looks = asked.flatMap((each) => ('look' in each ? [each.look] : []))
    const other = looks.find(({ mode }) => mode !== 'cluster')
    if (other !== undefined) {
      const advice = other.mode === 'one' ? 'set REDIS_HOST and REDIS_PORT instead' : 'name the nodes of the cluster'
      throw new Fault('HC_REDIS_CLUSTER', `REDIS_CLUSTER names ${placeOf(other)}, ${meant[other.mode]}: ${advice}`)
    }
    const silent = asked.flatMap((each) => ('fault' in each ? [each] : []))
    const reasons = silent.map(({ address, fault }) => `${placeOf({ address })} (${fault.message})`)
    if (looks.length === 0) {
      const refusal = silent.find(({ fault }) => fault.code !== 'HC_REDIS_UNAVAILABLE')?.fault
      const code = refusal?.code ?? 'HC_REDIS_UNAVAILABLE'
      throw new Fault(code, `no node of REDIS_CLUSTER can be asked: ${reasons.join(', ')}`)
    }
    for (const reason of reasons) this.#warnings.push(`of REDIS_CLUSTER a node can't be asked: ${reason}`)
    return this.#ofOneCluster(looks)
  }

  /** Two clusters would be taken for two maps of one, of which the higher epoch counts. */
  #ofOneCluster(looks: readonly NodeLook[]): readonly NodeLook[] {
    const [first, ...others] = groupsOf(looks).toSorted((a, b) => this.#slotsOf(b) - this.#slotsOf(a))
    const rival = others.find((group) => this.#slotsOf(group) > 0)
    if (rival !== undefined) {
      const [one, two] = [first, rival].map((group) => placesOf(group ?? []))
      throw new Fault('HC_REDIS_CLUSTER', `REDIS_CLUSTER names nodes of different clusters: ${one} and ${two}`)
    }
    for (const group of others)
      this.#warnings.push(`of REDIS_CLUSTER ${placesOf(group)} is in no cluster with the others`)
    return first ?? []
  }

  /** How many of our shards somebody has, as these nodes know it. */
  #slotsOf(looks: readonly NodeLook[]): number {
    const views = looks.map(({ view }) => view)
    return this.#shards.filter((shard) => ownerOf(slotOfShard(shard), views) !== undefined).length
  }

  /** By shard. @throws Fault HC_REDIS_UNAVAILABLE while one has none */
  #masters(views: readonly ClusterView[]): readonly KnownNode[] {
    return this.#shards.map((shard) => {
      const slot = slotOfShard(shard)
      const node = ownerOf(slot, views)?.node
      const where = `shard ${shard} is in slot ${slot} of the cluster`
      if (node === undefined) {
        const advice = `give it to one with CLUSTER ADDSLOTSRANGE ${slot} ${slot}`
        throw new Fault('HC_REDIS_UNAVAILABLE', `${where}, which no master has: ${advice}`)
      }
      if (!node.hasFailed) return node
      const what = `whose master ${knownPlace(node)} has failed, and no replica has taken over`
      throw new Fault('HC_REDIS_UNAVAILABLE', `${where}, ${what}`)
    })
  }

  /** The masters of the shards and their replicas, as far as they were not asked yet. */
  async #partners(masters: readonly KnownNode[], asked: readonly NodeLook[]): Promise<readonly NodeLook[]> {
    const ids = new Set(masters.map(({ id }) => id))
    const nodes = asked.flatMap(({ view }) => view.nodes)
    const replicas = nodes.filter(
      ({ masterId, hasFailed }) => !hasFailed && masterId !== undefined && ids.has(masterId),
    )
    const known = new Set(asked.map(placeOf))
    const addresses = distinctAddresses([...masters, ...replicas].flatMap(({ address }) => address ?? []))
    const answers = await this.#askAll(addresses.filter((address) => !known.has(placeOf({ address }))))
    const mastersAt = new Set(masters.map(knownPlace))
    for (const answer of answers) {
      if ('look' in answer) continue
      const place = placeOf(answer)
      if (mastersAt.has(place)) throw unreachable(answer)
      this.#warnings.push(`a shard may move to its replica ${place}, which can't be asked: ${answer.fault.message}`)
    }
    return answers.flatMap((answer) => ('look' in answer ? [answer.look] : []))
  }

  /** With it one slot that nobody has stops all shards. */
  #assertCoverage(looks: readonly NodeLook[]): void {
    const [needy, untold] = [true, undefined].map((needs) => looks.filter((each) => each.needsFullCoverage === needs))
    if (needy !== undefined && needy.length > 0) {
      const what = `cluster-require-full-coverage is yes at ${placesOf(needy)}, so one slot without a master stops all shards`
      const advice =
        'set it to no at every node (CONFIG SET cluster-require-full-coverage no, and in its configuration file)'
      throw new Fault('HC_REDIS_CLUSTER', `${what}: ${advice}`)
    }
    if (untold === undefined || untold.length === 0) return
    const what = `${placesOf(untold)} may not be asked for cluster-require-full-coverage (CONFIG GET)`
    this.#warnings.push(`${what}: it must be no, or one slot without a master stops all shards`)
  }

  /** A warning and no more: that is how a cluster is upgraded, a node after the other. */
  #compareVersions(looks: readonly NodeLook[]): void {
    const versions = [...new Set(looks.map(({ version }) => version))]
    if (versions.length < 2) return
    const places = versions.map(
      (version) => `${version} at ${placesOf(looks.filter((each) => each.version === version))}`,
    )
    this.#warnings.push(`the nodes of the cluster are of different versions: ${places.join(', ')}`)
  }

  /** A replica that takes over has none itself at first. */
  #compareReplicas(looks: readonly NodeLook[]): void {
    const needy = looks.filter(({ replicasNeeded }) => replicasNeeded > 0)
    if (needy.length === 0) return
    const what = `min-replicas-to-write is above 0 at ${placesOf(needy)}`
    this.#warnings.push(`${what}: a replica that takes over would refuse all writes until it has as many`)
  }

  #compareShares(masters: readonly KnownNode[], views: readonly ClusterView[]): void {
    const withSlots = new Set(
      views.flatMap(({ nodes }) => nodes).flatMap(({ id, slots }) => (slots.length > 0 ? [id] : [])),
    )
    const [shards, advice] = [
      masters.length,
      withSlots.size < masters.length
        ? `the cluster has ${withSlots.size} masters for ${masters.length} shards`
        : 'move the slot of one to a master that has none',
    ]
    for (const node of new Map(masters.map((each) => [each.id, each])).values()) {
      const own = this.#shards.filter((_, at) => masters[at]?.id === node.id)
      if (own.length < 2) continue
      const share = Math.round((100 * own.length) / shards)
      const what = `shards ${own.join(', ')} are on one master, ${knownPlace(node)}, which decides ${share} % of all items`
      this.#warnings.push(`${what}: ${advice}`)
    }
  }
}

/** @throws Fault when it can't be asked */
async function look(settings: RedisSettings, address: NodeAddress): Promise<NodeLook> {
  try {
    return await askNode(settings, address, (redis) => lookOn(redis, address))
  } catch (error) {
    const fault = redisFault(error)
    if (fault.code !== 'HC_REDIS_REFUSED' || (settings.user === '' && settings.password === '')) throw fault
    // A Sentinel has users of its own, mostly none, and so refuses the password before it could be told for what it is.
    const open = { ...settings, user: '', password: '' }
    const stranger = await askNode(open, address, (redis) => lookOn(redis, address)).catch(() => undefined)
    if (stranger?.mode === 'sentinel') return stranger
    throw fault
  }
}

async function lookOn(redis: RedisConnection, address: NodeAddress): Promise<NodeLook> {
  const info = await readInfo(redis)
  const valkey = info.get('valkey_version')
  const version = valkey === undefined ? `Redis ${info.get('redis_version')}` : `Valkey ${valkey}`
  const mode = modeOf(info)
  const named = { address, mode, version }
  if (mode !== 'cluster') return { ...named, view: { nodes: [] }, needsFullCoverage: undefined, replicasNeeded: 0 }
  const [view, set] = await Promise.all([askView(redis, address), setAt(redis)])
  const coverage = set.get('cluster-require-full-coverage')
  const replicasNeeded = Number(set.get('min-replicas-to-write') ?? 0)
  return { ...named, view, needsFullCoverage: coverage === undefined ? undefined : coverage === 'yes', replicasNeeded }
}

function modeOf(info: ReadonlyMap<string, string>): NodeLook['mode'] {
  const mode = info.get('redis_mode') ?? info.get('server_mode')
  if (mode === 'sentinel') return 'sentinel'
  return mode === 'cluster' || info.get('cluster_enabled') === '1' ? 'cluster' : 'one'
}

/** Empty: managed services often refuse CONFIG. */
async function setAt(redis: RedisConnection): Promise<ReadonlyMap<string, string>> {
  try {
    const names = ['cluster-require-full-coverage', 'min-replicas-to-write']
    const flat = (await redis.call('CONFIG', 'GET', ...names)) as string[]
    return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : [])))
  } catch (error) {
    const fault = redisFault(error)
    if (fault.code === 'HC_REDIS_REFUSED') return new Map()
    throw fault
  }
}

function unreachable({ address, fault }: { readonly address: NodeAddress; readonly fault: Fault }): Fault {
  const place = placeOf({ address })
  if (fault.code !== 'HC_REDIS_UNAVAILABLE') {
    const advice = 'each node of a cluster has its own users, see docs/ACCESS.md'
    return new Fault(fault.code, `${place} refuses us (${fault.message}): ${advice}`)
  }
  const what = `the cluster announces ${place} for a shard, an address that can't be reached from here (${fault.message})`
  const advice =
    'unless it has just died, set cluster-announce-ip and cluster-announce-port, or cluster-announce-hostname'
  return new Fault('HC_REDIS_UNAVAILABLE', `${what}: ${advice}`)
}

/** Of nodes those together that know of each other, directly or through others. */
function groupsOf(looks: readonly NodeLook[]): NodeLook[][] {
  const groups: { readonly ids: Set<string>; readonly looks: NodeLook[] }[] = []
  for (const each of looks) {
    const ids = new Set(each.view.nodes.map(({ id }) => id))
    const related = groups.filter((group) => [...ids].some((id) => group.ids.has(id)))
    const joined = {
      ids: new Set([...ids, ...related.flatMap((group) => [...group.ids])]),
      looks: [...related.flatMap((group) => group.looks), each],
    }
    for (const group of related) groups.splice(groups.indexOf(group), 1)
    groups.push(joined)
  }
  return groups.map((group) => group.looks)
}

function placeOf({ address: { host, port } }: { readonly address: NodeAddress }): string {
  return hostAndPort(host, port)
}

function placesOf(looks: readonly NodeLook[]): string {
  return looks.map(placeOf).join(', ')
}

function knownPlace({ address, id }: KnownNode): string {
  return address === undefined ? `node ${id}` : hostAndPort(address.host, address.port)
}

import type { NodeAddress } from '../config/cluster-nodes.ts'
import { hostAndPort } from '../config/listen-hosts.ts'

/** A node of a cluster, as another one knows it. */
export interface KnownNode {
  readonly id: string
  /** Where it takes clients; undefined: the one that was asked doesn't know. */
  readonly address: NodeAddress | undefined
  readonly busPort: number
  /** The one that was asked. */
  readonly isMyself: boolean
  /** Of a replica: its master's id. */
  readonly masterId: string | undefined
  /** Most of the masters agree that it is away. */
  readonly hasFailed: boolean
  readonly isConnected: boolean
  /** Of two nodes that are said to have a slot, the one with the higher epoch has it. */
  readonly epoch: number
  readonly slots: readonly SlotRange[]
}

/** From the first slot to the last one, both included. */
type SlotRange = readonly [first: number, last: number]

/** The map of the cluster that one node has. It may be out of date, and the node can't know. */
export interface ClusterView {
  readonly nodes: readonly KnownNode[]
}

export interface ViewReplies {
  /** The one that was asked. */
  readonly asked: NodeAddress
  /** To CLUSTER NODES: epochs, flags and slots. */
  readonly nodes: string
  /** To CLUSTER SLOTS: the addresses that clients are to use (cluster-preferred-endpoint-type). */
  readonly slots: unknown
}

/** Who has a slot, in the map of whoever knows most of it. */
export interface SlotOwner {
  readonly node: KnownNode
  readonly view: ClusterView
}

/**
 * No command tells both what is needed, so a map is read with two: CLUSTER SLOTS and SHARDS know no epochs, and CLUSTER NODES
 * doesn't say whether clients are to use its addresses or its names.
 */
export function readView({ asked, nodes, slots }: ViewReplies): ClusterView {
  const endpoints = preferredEndpoints(asked, slots)
  return {
    nodes: nodes
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) => readNode(line, asked, endpoints) ?? []),
  }
}

/** Of the maps that differ about a slot, the one counts in which its owner has the highest epoch. */
export function ownerOf(slot: number, views: readonly ClusterView[]): SlotOwner | undefined {
  let owner: SlotOwner | undefined
  for (const view of views) {
    const node = view.nodes.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last))
    if (node !== undefined && (owner === undefined || node.epoch > owner.node.epoch)) owner = { node, view }
  }
  return owner
}

/** Each address once, in the order in which they come. */
export function distinctAddresses(addresses: Iterable<NodeAddress>): NodeAddress[] {
  const byText = new Map<string, NodeAddress>()
  for (const address of addresses) {
    const text = hostAndPort(address.host, address.port)
    if (!byText.has(text)) byText.set(text, address)
  }
  return [...byText.values()]
}

/** `<id> <ip>:<port>@<bus port>[,<hostname>...] <flags> <master> <ping> <pong> <epoch> <link> <slots>...`: see Redis' CLUSTER NODES. */
function readNode(
  line: string,
  asked: NodeAddress,
  endpoints: ReadonlyMap<string, NodeAddress>,
): KnownNode | undefined {
  const [id = '', place = '', flagText = '', master = '-', , , epoch = '0', link = '', ...slots] = line.split(' ')
  const flags = new Set(flagText.split(','))
  // Neither is a member yet: one that is just being met has an id of its own only after it has answered.
  if (id === '' || flags.has('handshake')) return undefined
  const [, ip = '', port = '0', busPort = '0'] = /^(.*):(\d+)@(\d+)/.exec(place) ?? []
  const isMyself = flags.has('myself')
  // A node that nobody has told its address knows itself without one: it is the one that was asked.
  const host = ip === '' && isMyself ? asked.host : ip
  const said = host === '' || flags.has('noaddr') ? undefined : { host, port: Number(port) }
  return {
    id,
    address: endpoints.get(id) ?? said,
    busPort: Number(busPort),
    isMyself,
    masterId: master === '-' ? undefined : master,
    hasFailed: flags.has('fail'),
    isConnected: isMyself || link === 'connected',
    epoch: Number(epoch),
    slots: slots.map(readRange).filter((range) => range !== undefined),
  }
}

/** `5`, `0-5460`; not `[5->-<id>]` and `[5-<-<id>]`: a slot that is being moved has the owner that it had. */
function readRange(text: string): SlotRange | undefined {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  return first === undefined ? undefined : [Number(first), Number(last)]
}

/** Node id -> where clients are to connect to. Entries: [first slot, last slot, [endpoint, port, id, ...], ...]. */
function preferredEndpoints(asked: NodeAddress, reply: unknown): Map<string, NodeAddress> {
  const endpoints = new Map<string, NodeAddress>()
  for (const entry of Array.isArray(reply) ? (reply as unknown[]) : []) {
    for (const node of Array.isArray(entry) ? (entry as unknown[]).slice(2) : []) {
      const [endpoint, port, id] = node as [unknown, unknown, unknown]
      // null (unknown-endpoint): all nodes are at the host that was asked, behind one address translation. '' and '?': it
      // doesn't know the name, and the address that CLUSTER NODES has is all there is.
      const host = endpoint ?? asked.host
      if (typeof host !== 'string' || host === '' || host === '?') continue
      if (typeof id === 'string') endpoints.set(id, { host, port: Number(port) })
    }
  }
  return endpoints
}

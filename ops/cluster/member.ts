import type { NodeAddress } from '../../core/config/cluster-nodes.ts'
import { Fault } from '../../core/faults.ts'
import type { ClusterView, KnownNode } from '../../core/redis/cluster-view.ts'
import {
  askView,
  connectNode,
  type RedisConnection,
  type RedisSettings,
  redisFault,
} from '../../core/redis/connection.ts'
import { infoFields } from '../../core/redis/info.ts'

/** A slot between two nodes, as one of them has it. */
export interface OpenSlot {
  readonly is: 'migrating' | 'importing'
  /** The other one's id. */
  readonly peer: string
}

/** In CLUSTER NODES only the node's own line has them: `[5->-<id>]`, `[5-<-<id>]`. */
export function readOpenSlot(nodes: string, slot: number): OpenSlot | undefined {
  const own = nodes.split('\n').find((line) => /^\S+ \S+ (?:\S+,)?myself\b/.test(line)) ?? ''
  const [, way, peer] = new RegExp(`\\[${slot}-([<>])-(\\w+)\\]`).exec(own) ?? []
  return peer === undefined ? undefined : { is: way === '>' ? 'migrating' : 'importing', peer }
}

/** A process that is to be a node of the cluster. */
export interface ClusterPlace {
  /** For people. */
  readonly name: string
  /** Where it takes clients. */
  readonly address: NodeAddress
}

/** A node while a cluster is being formed: what it knows of the others, and who tells it what to do. */
export class Member {
  readonly place: ClusterPlace
  readonly #redis: RedisConnection
  #view: ClusterView = { nodes: [] }

  private constructor(place: ClusterPlace, redis: RedisConnection) {
    this.place = place
    this.#redis = redis
  }

  /** @throws Fault that names the node */
  static async open(
    place: ClusterPlace,
    account: RedisSettings,
    options: { readonly commandTimeoutMs?: number } = {},
  ): Promise<Member> {
    const connect = async () => new Member(place, await connectNode(account, place.address, options))
    const member = await named(place, connect)
    try {
      const enabled = (await member.info()).get('cluster_enabled')
      if (enabled !== '1')
        throw new Fault('HC_REDIS_CLUSTER', `${place.name}: set cluster-enabled yes, and start it again`)
      await member.look()
      return member
    } catch (error) {
      member.close()
      throw error
    }
  }

  /** Where it was reached: nodes are introduced to each other by addresses, they take no names. */
  get ip(): string {
    const { remoteAddress = '' } = this.#redis.stream
    return remoteAddress.replace(/^::ffff:/, '')
  }

  get name(): string {
    return this.place.name
  }

  get view(): ClusterView {
    return this.#view
  }

  /** As of the last look. */
  get self(): KnownNode {
    const self = this.#view.nodes.find(({ isMyself }) => isMyself)
    if (self === undefined) throw new Fault('HC_REDIS_CLUSTER', `${this.name} doesn't know itself`)
    return self
  }

  get id(): string {
    return this.self.id
  }

  /** It has never met another node. Its slots, if it has any, are those of the keys that it came with. */
  get isNew(): boolean {
    return this.#view.nodes.length === 1 && this.self.epoch === 0
  }

  async look(): Promise<void> {
    this.#view = await named(this.place, () => askView(this.#redis, this.place.address))
  }

  /** Any command, of a slot that is on its way to or from here too. @throws Fault that names the node */
  async run(command: string, ...args: (string | number)[]): Promise<unknown> {
    return await named(this.place, () => this.#redis.call(command, ...args))
  }

  /** CLUSTER ... @throws Fault that names the node */
  async call(subcommand: string, ...args: (string | number)[]): Promise<unknown> {
    return await this.run('CLUSTER', subcommand, ...args)
  }

  async info(): Promise<ReadonlyMap<string, string>> {
    return await named(this.place, async () => infoFields(String(await this.#redis.call('INFO'))))
  }

  /** CLUSTER INFO. */
  async state(): Promise<ReadonlyMap<string, string>> {
    return infoFields(String(await this.call('INFO')))
  }

  /** Whether the slot is on its way to another node, or from one; undefined: neither. */
  async openSlot(slot: number): Promise<OpenSlot | undefined> {
    return readOpenSlot(String(await this.call('NODES')), slot)
  }

  /** It is told where the other one is. */
  async meet({ ip, place, self }: Member): Promise<void> {
    await this.call('MEET', ip, place.address.port, self.busPort)
  }

  /** Where it reaches the other one, or whoever asks does. */
  addressOf({ id, place }: Member): NodeAddress {
    return this.#view.nodes.find((known) => known.id === id)?.address ?? place.address
  }

  /** Where the other one is, as far as this one knows. */
  knows({ self }: Member): 'not' | 'elsewhere' | 'unconnected' | 'well' {
    const known = this.#view.nodes.find(({ id }) => id === self.id)
    if (known === undefined) return 'not'
    if (known.address?.port !== self.address?.port || known.busPort !== self.busPort) return 'elsewhere'
    return known.isConnected ? 'well' : 'unconnected'
  }

  close(): void {
    this.#redis.disconnect()
  }
}

async function named<Answer>({ name }: ClusterPlace, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    const { code, message } = redisFault(error)
    throw new Fault(code, `${name}: ${message}`)
  }
}

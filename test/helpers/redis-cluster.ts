import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import type { Redis } from 'ioredis'
import { freePort } from '../../core/free-port.ts'
import { clusterSlots, slotOfShard } from '../../core/redis/cluster-slot.ts'
import { ownerOf } from '../../core/redis/cluster-view.ts'
import { askNode, askView, connectNode, type RedisSettings } from '../../core/redis/connection.ts'
import { formCluster } from '../../ops/cluster/forming.ts'
import { nodesFile, redisName, startRedisService } from '../../ops/embedded/redis.ts'
import type { EmbeddedService } from '../../ops/embedded/service.ts'
import { BusProxy } from './bus-proxy.ts'
import { newPassword, waiting } from './embedded-options.ts'
import { eventually, handedOver } from './eventually.ts'
import { type TlsFiles, tlsLines } from './redis-tls.ts'
import { createFolder, removeFolder, type Scope } from './scope.ts'
import { chosenRedis, commandTimeoutMs } from './services.ts'

const host = '127.0.0.1'
/** A node that is silent for so long is replaced by its replica. Above what a busy machine makes a process wait. */
const nodeTimeoutMs = 2_000

export interface RedisClusterOptions {
  readonly masters: number
  /** Of each master; none unless they are asked for. */
  readonly replicas?: number
  /** What the nodes speak with their clients and each other: files of a certificate. */
  readonly tls?: TlsFiles
  /** Of each node's configuration, besides ours. */
  readonly lines?: readonly string[]
  /** Has clients led to a node by another port, which leads to the one that is given: without TLS. */
  readonly front?: (port: number) => Promise<number>
  /** Shards that have a master of their own as far as there are enough; as many as masters. */
  readonly shards?: number
}

/** A process of the cluster. Masters come first, then the first replica of each. */
export interface ClusterProcess {
  readonly number: number
  readonly id: string
  /** Of its clients, without TLS. */
  readonly port: number
  /** With TLS, where it is spoken. */
  readonly tlsPort: number | undefined
  /** That it announces to clients without TLS. */
  readonly front: number
  pid(): number
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
  /** With the same ports and data. */
  start(): Promise<void>
  /** Of one that does not run: what it had of sales is gone. Its place in the cluster stays. */
  loseData(): void
  pause(): void
  resume(): void
}

export interface RedisCluster {
  /** As the service's user; `cluster` lists the masters. */
  readonly settings: RedisSettings & { readonly cluster: string }
  /** As a user who may do everything. */
  readonly admin: RedisSettings & { readonly cluster: string }
  readonly nodes: readonly ClusterProcess[]
  /** A connection to one node, as a user who may do everything. */
  open(node: ClusterProcess): Promise<Redis>
  /** Whoever has the shard, as most who answer know. */
  masterOf(shard: number): Promise<ClusterProcess>
  /** A replica takes over while the master is there and hands over (CLUSTER FAILOVER). Resolves when it has. */
  failOver(shard: number): Promise<ClusterProcess>
  /** Marks a slot as on its way. Until `endMove` its keys that are there are answered, others get ASK or TRYAGAIN. */
  beginMove(shard: number, to: ClusterProcess): Promise<void>
  /** Some of the slot's keys, or all. */
  moveKeys(shard: number, to: ClusterProcess, keys?: readonly string[]): Promise<void>
  endMove(shard: number, to: ClusterProcess): Promise<void>
  /** One more, empty and in no cluster yet. */
  addNode(): Promise<ClusterProcess>
  /** Ends one that has no slots, and has the others forget it. */
  removeNode(node: ClusterProcess): Promise<void>
  /** From the other nodes, not from clients. */
  cutOff(node: ClusterProcess): void
  rejoin(node: ClusterProcess): void
}

/** A real Redis Cluster with the settings and the users of the embedded one, in a folder of its own. Ends with the scope. */
export async function startRedisCluster(scope: Scope, options: RedisClusterOptions): Promise<RedisCluster> {
  const { masters, replicas = 0, shards = masters } = options
  const dataDir = createFolder()
  const processes: NodeProcess[] = []
  scope.after(async () => {
    await Promise.all(processes.map((process) => process.stop()))
    removeFolder(dataDir)
  })
  const bus = BusProxy.open(scope)
  const plan = { dataDir, options, bus, passwords: { service: newPassword(), admin: newPassword() } }
  const count = masters * (1 + replicas)
  for (let number = 0; number < count; number++) processes.push(await NodeProcess.create(number, plan))
  await Promise.all(processes.map((process) => process.start()))
  const account = { host: '', port: 0, user: 'default', password: plan.passwords.admin, tls: false }
  const cluster = new Cluster(processes, account, plan)
  await Promise.all(processes.map((process) => process.learnId(account)))
  const first = processes.slice(0, masters)
  const places = first.map(({ number, port }) => ({ name: `node ${number}`, address: { host, port } }))
  const form = () => formCluster({ places, account, replicas: 0, shards, lostAdvice: '', waiting })
  await eventually(form, { what: 'a cluster' }) // a node may be late once, and it may be repeated at any time
  const following = processes
    .slice(masters)
    .map((replica, at) => cluster.replicate(replica, first[at % masters] as NodeProcess))
  await Promise.all(following)
  await cluster.knowEachOther(masters * replicas)
  const listed = first.map(({ front, tlsPort }) =>
    tlsPort === undefined ? `${host}:${front}` : `localhost:${tlsPort}`,
  )
  const { tls } = options
  const place = { cluster: listed.join(','), ...(tls === undefined ? { tls: false } : { tls: true, tlsCa: tls.ca }) }
  return Object.assign(cluster, {
    settings: { ...account, ...place, user: 'hotcakes', password: plan.passwords.service },
    admin: { ...account, ...place },
  })
}

interface NodesPlan {
  readonly dataDir: string
  readonly options: RedisClusterOptions
  readonly bus: BusProxy
  readonly passwords: { readonly service: string; readonly admin: string }
}

class NodeProcess implements ClusterProcess {
  readonly number: number
  readonly port: number
  readonly tlsPort: number | undefined
  readonly front: number
  /** As it announces it: a port of the proxy, which leads to its own one. */
  readonly busPort: number
  readonly #plan: NodesPlan
  #ownBusPort: number
  #id = ''
  #service: EmbeddedService | undefined

  private constructor(
    number: number,
    plan: NodesPlan,
    ports: { port: number; tlsPort: number | undefined; front: number; bus: number; ownBus: number },
  ) {
    this.number = number
    this.#plan = plan
    this.port = ports.port
    this.tlsPort = ports.tlsPort
    this.front = ports.front
    this.busPort = ports.bus
    this.#ownBusPort = ports.ownBus
  }

  static async create(number: number, plan: NodesPlan): Promise<NodeProcess> {
    const hasTls = plan.options.tls !== undefined
    const port = await freePort()
    const created: { node?: NodeProcess } = {}
    const target = () => ({ id: created.node?.id ?? '', busPort: created.node?.ownBusPort ?? 0 })
    const ports = {
      port,
      front: (await plan.options.front?.(port)) ?? port,
      tlsPort: hasTls ? await freePort() : undefined,
      bus: await plan.bus.lead(target),
      ownBus: await freePort(),
    }
    created.node = new NodeProcess(number, plan, ports)
    return created.node
  }

  get id(): string {
    return this.#id
  }

  get ownBusPort(): number {
    return this.#ownBusPort
  }

  async start(): Promise<void> {
    const { dataDir, passwords } = this.#plan
    const { service, busPort } = await startRedisService({
      dataDir,
      password: passwords.service,
      adminPassword: passwords.admin,
      program: chosenRedis(),
      port: this.port,
      node: {
        number: this.number,
        setupPassword: passwords.admin,
        lastPorts: { port: this.port, busPort: this.#ownBusPort },
      },
      lines: this.#lines(),
      onLaunch: () => undefined,
      waiting,
    })
    this.#service = service
    this.#ownBusPort = busPort ?? this.#ownBusPort
  }

  #lines(): string[] {
    const { passwords, options } = this.#plan
    const { tls } = options
    return [
      `cluster-node-timeout ${nodeTimeoutMs}`,
      `cluster-announce-bus-port ${this.busPort}`,
      ...(this.front === this.port ? [] : [`cluster-announce-port ${this.front}`]),
      'repl-diskless-sync-delay 0',
      'masteruser default',
      `masterauth ${passwords.admin}`,
      ...(tls === undefined ? [] : tlsLines(tls, this.tlsPort)),
      ...(options.lines ?? []),
    ]
  }

  async learnId(account: RedisSettings): Promise<void> {
    const address = { host, port: this.port }
    const ask = async () => String(await askNode(account, address, (redis) => redis.call('CLUSTER', 'MYID')))
    this.#id = await eventually(ask, { what: `the id of node ${this.number}` })
  }

  pid(): number {
    return this.#service?.pid ?? 0
  }

  pause(): void {
    process.kill(this.pid(), 'SIGSTOP')
  }

  resume(): void {
    process.kill(this.pid(), 'SIGCONT')
  }

  async kill(): Promise<void> {
    process.kill(this.pid(), 'SIGKILL')
    await this.stop()
  }

  loseData(): void {
    const folder = join(this.#plan.dataDir, redisName(this.number))
    for (const name of readdirSync(folder)) {
      if (name !== nodesFile) rmSync(join(folder, name), { recursive: true })
    }
  }

  async stop(): Promise<void> {
    if (this.#service !== undefined && !this.#service.hasExited) this.resume() // one that is paused takes no signal
    await this.#service?.stop()
  }
}

class Cluster {
  readonly nodes: NodeProcess[]
  readonly #account: RedisSettings
  readonly #plan: NodesPlan
  #lastNumber: number

  constructor(nodes: NodeProcess[], account: RedisSettings, plan: NodesPlan) {
    this.nodes = nodes
    this.#account = account
    this.#plan = plan
    this.#lastNumber = nodes.length - 1
  }

  async addNode(): Promise<ClusterProcess> {
    this.#lastNumber += 1
    const node = await NodeProcess.create(this.#lastNumber, this.#plan)
    this.nodes.push(node)
    await node.start()
    await node.learnId(this.#account)
    return node
  }

  async removeNode({ id }: ClusterProcess): Promise<void> {
    const at = this.nodes.findIndex((each) => each.id === id)
    const [node] = this.nodes.splice(at, 1)
    await node?.stop()
    // One that was told may hear of it again from one that was not yet.
    await eventually(
      async () => {
        for (const each of this.nodes) {
          const known = String(await this.#run(each, 'NODES')).includes(id)
          if (known) await this.#run(each, 'FORGET', id)
        }
        return true
      },
      { what: 'a cluster without the node' },
    )
  }

  async open(node: ClusterProcess): Promise<Redis> {
    return await connectNode(this.#account, { host, port: node.port }, { commandTimeoutMs })
  }

  async masterOf(shard: number): Promise<NodeProcess> {
    const owner = async () => {
      const answers = await Promise.allSettled(
        this.nodes.map(({ port }) => askNode(this.#account, { host, port }, (redis) => askView(redis, { host, port }))),
      )
      const views = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
      const id = ownerOf(slotOfShard(shard), views)?.node.id
      return this.nodes.find((node) => node.id === id)
    }
    // On a busy machine all may be late at once.
    return await eventually(owner, { what: `a master of shard ${shard}` })
  }

  async replicate(replica: NodeProcess, master: NodeProcess): Promise<void> {
    const follows = () => this.#run(replica, 'REPLICATE', master.id)
    // Nodes that take longer than their timeout to meet give it up.
    const meets = async () => {
      await this.#run(master, 'MEET', host, replica.port, replica.busPort)
      return await eventually(follows, { deadlineMs: 2 * nodeTimeoutMs })
    }
    await eventually(meets, { what: `node ${replica.number} is a replica` })
    await this.#ask(replica, (redis) =>
      eventually(async () => /master_link_status:up/.test(await redis.info('replication'))),
    )
  }

  /** With so many replicas, as such: or the death of a master would find one that doesn't know who may take its place. */
  async knowEachOther(replicas: number): Promise<void> {
    for (const node of this.nodes) {
      const all = this.nodes.map(({ id }) => id)
      await eventually(
        async () => {
          const [known, info] = [await this.#run(node, 'NODES'), await this.#run(node, 'INFO')].map(String)
          const withMaster = known?.match(/ [0-9a-f]{40} /g) ?? []
          const areAllKnown = all.every((id) => known?.includes(`${id} `)) && withMaster.length === replicas
          return areAllKnown && info?.includes(`slots_assigned:${clusterSlots}`)
        },
        { what: `node ${node.number} knows all others, and who has which slot` },
      )
    }
  }

  async failOver(shard: number): Promise<ClusterProcess> {
    const master = await this.masterOf(shard)
    const replica = await eventually(() => this.#replicaOf(master), { what: `node ${master.number} has a replica` })
    const isMaster = async () => (await this.masterOf(shard)).id === replica.id
    await handedOver(() => this.#run(replica, 'FAILOVER'), isMaster)
    return replica
  }

  /** One that has all that its master has. */
  async #replicaOf(master: NodeProcess): Promise<NodeProcess | undefined> {
    const nodes = String(await this.#run(master, 'NODES')).split('\n')
    const replica = this.nodes.find(({ id }) =>
      nodes.some((line) => line.startsWith(id) && line.includes(` ${master.id} `)),
    )
    if (replica === undefined) return undefined
    const replication = await this.#ask(replica, (redis) => redis.info('replication'))
    return /master_link_status:up/.test(replication) ? replica : undefined
  }

  async beginMove(shard: number, to: ClusterProcess): Promise<void> {
    const from = await this.masterOf(shard)
    const slot = slotOfShard(shard)
    await this.#run(to, 'SETSLOT', slot, 'IMPORTING', from.id)
    await this.#run(from, 'SETSLOT', slot, 'MIGRATING', to.id)
  }

  async moveKeys(shard: number, to: ClusterProcess, keys?: readonly string[]): Promise<void> {
    const { user, password } = this.#account
    await this.#ask(await this.masterOf(shard), async (redis) => {
      const all = keys ?? ((await redis.call('CLUSTER', 'GETKEYSINSLOT', slotOfShard(shard), 1_000)) as string[])
      if (all.length === 0) return
      await redis.call('MIGRATE', host, to.port, '', 0, 5_000, 'AUTH2', user, password, 'KEYS', ...all)
    })
  }

  async endMove(shard: number, to: ClusterProcess): Promise<void> {
    const from = await this.masterOf(shard)
    for (const node of [to, from]) await this.#run(node, 'SETSLOT', slotOfShard(shard), 'NODE', to.id)
  }

  cutOff({ id }: ClusterProcess): void {
    this.#plan.bus.cut(id)
  }

  rejoin({ id }: ClusterProcess): void {
    this.#plan.bus.mend(id)
  }

  async #run(node: ClusterProcess, subcommand: string, ...args: (string | number)[]): Promise<unknown> {
    return await this.#ask(node, (redis) => redis.call('CLUSTER', subcommand, ...args))
  }

  async #ask<Answer>(node: ClusterProcess, ask: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const redis = await this.open(node)
    try {
      return await ask(redis)
    } finally {
      redis.disconnect()
    }
  }
}

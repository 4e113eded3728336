import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../core/free-port.ts'
import { clusterSlots, slotOfShard } from '../../core/redis/cluster-slot.ts'
import { askNode, type RedisSettings } from '../../core/redis/connection.ts'
import { infoFields } from '../../core/redis/info.ts'
import { type RedisChild, startRedisChild } from './redis-child.ts'

const agreeMsMax = 30_000
const pollMs = 50

/** A Redis Cluster for one benchmark: so many masters, of which each has the shard of its number. */
export interface RedisNodes {
  /** `host` and `port` are those of the first. */
  readonly settings: RedisSettings
  readonly pids: readonly number[]
  /** `yes` returns when the append-only file is there again. */
  setAppendOnly(value: 'yes' | 'no'): Promise<void>
  stop(): Promise<void>
}

/** @param options.isCluster false: one Redis alone, without a cluster */
export async function startRedisNodes(count: number, { isCluster = true } = {}): Promise<RedisNodes> {
  const children: RedisChild[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.stop()))
  }
  try {
    const busPorts: number[] = []
    for (let number = 0; number < count; number++) {
      const busPort = await freePort()
      busPorts.push(busPort)
      children.push(await startRedisChild(isCluster ? clusterLines(busPort) : []))
    }
    if (isCluster) await form(children, busPorts)
  } catch (error) {
    await stop()
    throw error
  }
  const { settings } = children[0] as RedisChild
  const cluster = children.map((child) => `${child.settings.host}:${child.settings.port}`).join(',')
  return {
    settings: isCluster ? { ...settings, cluster } : settings,
    pids: children.map(({ pid }) => pid),
    setAppendOnly: async (value) => {
      for (const child of children) await ask(child, ['CONFIG', 'SET', 'appendonly', value])
      if (value === 'yes') for (const child of children) await until(() => isRewritten(child))
    },
    stop,
  }
}

function clusterLines(busPort: number): string[] {
  return [
    'cluster-enabled yes',
    'cluster-config-file nodes.conf',
    `cluster-port ${busPort}`,
    'cluster-announce-ip 127.0.0.1',
    'cluster-require-full-coverage no',
    // A node whose fsync takes long, or that gets no core for a while, is not dead.
    'cluster-node-timeout 60000',
  ]
}

async function form(children: readonly RedisChild[], busPorts: readonly number[]): Promise<void> {
  const own = children.map((_, number) => slotOfShard(number))
  const others = Array.from({ length: clusterSlots }, (_, slot) => slot).filter((slot) => !own.includes(slot))
  for (const [number, child] of children.entries()) {
    await ask(child, ['CLUSTER', 'SET-CONFIG-EPOCH', String(number + 1)])
    const slots = number === 0 ? [own[0] as number, ...others] : [own[number] as number]
    await ask(child, ['CLUSTER', 'ADDSLOTS', ...slots.map(String)])
    const { settings } = child
    for (const other of children.slice(0, number)) {
      await ask(other, ['CLUSTER', 'MEET', settings.host, String(settings.port), String(busPorts[number])])
    }
  }
  for (const child of children) await until(() => knows(child, children.length))
}

async function knows(child: RedisChild, count: number): Promise<boolean> {
  const info = infoFields(String(await ask(child, ['CLUSTER', 'INFO'])))
  const [state, slots, nodes] = ['cluster_state', 'cluster_slots_assigned', 'cluster_size'].map((name) =>
    info.get(name),
  )
  return state === 'ok' && Number(slots) === clusterSlots && Number(nodes) === count
}

async function isRewritten(child: RedisChild): Promise<boolean> {
  const info = infoFields(String(await ask(child, ['INFO', 'persistence'])))
  return ['aof_rewrite_in_progress', 'aof_rewrite_scheduled'].every((name) => info.get(name) === '0')
}

function ask({ settings }: RedisChild, [command = '', ...args]: readonly string[]): Promise<unknown> {
  return askNode(settings, settings, (redis) => redis.call(command, ...args))
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + agreeMsMax
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`the nodes of a Redis Cluster did not agree in ${agreeMsMax} ms`)
    await delay(pollMs)
  }
}

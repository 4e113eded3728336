import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { hostAndPort } from '../../core/config/listen-hosts.ts'
import { Fault } from '../../core/faults.ts'
import type { RedisSettings } from '../../core/redis/connection.ts'
import { formWithin } from '../cluster/forming.ts'
import { clusterFormingMsMax, embeddedMastersMax } from '../limits.ts'
import type { EmbeddedNode, EmbeddedRedis, EmbeddedRedisFacts } from './facts.ts'
import { type LaunchedRedis, type NodePlan, nodesFile, redisName, setupUserName, startRedisService } from './redis.ts'
import type { EmbeddedService } from './service.ts'
import type { Waiting } from './waiting.ts'

export interface NodesPlan {
  readonly dataDir: string
  /** Of the service's user. */
  readonly password: string
  /** Shards that the server may have: with one, and no cluster in the folder, it is one Redis alone. */
  readonly shards: number
  /** As of the last start. */
  readonly facts: EmbeddedRedisFacts | undefined
  readonly record: (facts: EmbeddedRedisFacts) => void
  readonly waiting: Waiting
}

export interface RunningNodes {
  readonly services: readonly EmbeddedService[]
  readonly connection: EmbeddedRedis
}

/**
 * Starts the embedded Redis: one alone, or as many masters of a cluster as there are shards. What the folder has is never
 * less: a cluster stays one, and one Redis alone becomes its first node and keeps its data.
 * @throws Fault HC_EMBEDDED_FAILED; nothing is left running then
 */
export async function startRedisNodes(plan: NodesPlan): Promise<RunningNodes> {
  const count = nodesNeeded(plan.dataDir, plan.shards)
  return count === 0 ? await startAlone(plan) : await startNodes(plan, count)
}

async function startAlone({ dataDir, password, record, waiting }: NodesPlan): Promise<RunningNodes> {
  const onLaunch = ({ connection, process }: LaunchedRedis) => record({ connection, process })
  const { service, connection } = await startRedisService({ dataDir, password, onLaunch, waiting })
  return { services: [service], connection }
}

async function startNodes(plan: NodesPlan, count: number): Promise<RunningNodes> {
  const { dataDir, password, waiting, shards } = plan
  const setupPassword = randomBytes(24).toString('base64url')
  const launched = launchesOf(plan)
  const starts = Array.from({ length: count }, async (_, number) => {
    const node: NodePlan = {
      number,
      setupPassword,
      lastPorts: plan.facts?.nodes?.find((last) => last.number === number),
    }
    return await startRedisService({ dataDir, password, node, onLaunch: (one) => launched.add(number, one), waiting })
  })
  const results = await Promise.allSettled(starts)
  const services = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.service] : []))
  try {
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const { connection, nodes } = launched
    const account = { ...connection, user: setupUserName, password: setupPassword }
    await formNodes({ nodes, account, shards, waiting })
    return { services, connection }
  } catch (error) {
    await Promise.all(services.map((service) => service.stop()))
    throw error
  }
}

interface FormedNodes {
  readonly nodes: readonly EmbeddedNode[]
  readonly account: RedisSettings
  readonly shards: number
  readonly waiting: Waiting
}

/** @throws Fault HC_EMBEDDED_FAILED */
async function formNodes({ nodes, ...plan }: FormedNodes): Promise<void> {
  const host = '127.0.0.1'
  const places = nodes.map(({ number, port }) => ({ name: `node ${number}`, address: { host, port } }))
  const lostAdvice =
    'put its folder back, or remove the folders redis, redis-1, redis-2 ... of all its nodes: then the sales are rebuilt from PostgreSQL'
  try {
    // A node may be late to answer once; all of them were there just now.
    await formWithin({ places, replicas: 0, lostAdvice, ...plan }, clusterFormingMsMax)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new Fault('HC_EMBEDDED_FAILED', `the embedded Redis nodes could not be made a cluster: ${error.message}`)
  }
}

/** What is known of the nodes: as of the last start, until each is launched. */
function launchesOf({ facts, record }: NodesPlan) {
  const byNumber = new Map<number, EmbeddedNode>(facts?.nodes?.map((node) => [node.number, node]))
  let connection: EmbeddedRedis | undefined
  const nodes = () => [...byNumber.values()].toSorted((a, b) => a.number - b.number)
  return {
    add: (number: number, { connection: own, process, busPort = 0 }: LaunchedRedis): void => {
      byNumber.set(number, { number, port: own.port, busPort, process })
      const cluster = nodes().map(({ port }) => hostAndPort(own.host, port))
      connection = { ...own, host: '', cluster: cluster.join(',') }
      record({ connection, process: nodes()[0]?.process ?? process, nodes: nodes() })
    },
    get nodes() {
      return nodes()
    },
    get connection(): EmbeddedRedis {
      if (connection === undefined) throw new Error('no node was launched')
      return connection
    },
  }
}

/** 0: none, one Redis alone will do. */
function nodesNeeded(dataDir: string, shards: number): number {
  const there = readdirSync(dataDir).flatMap((name) => {
    const [, digits] = /^redis(?:-(\d+))?$/.exec(name) ?? [undefined, undefined]
    const number = Number(digits ?? 0)
    return redisName(number) === name && existsSync(join(dataDir, name, nodesFile)) ? [number + 1] : []
  })
  const wanted = Math.min(shards, embeddedMastersMax)
  return Math.max(0, ...there, wanted > 1 ? wanted : 0)
}

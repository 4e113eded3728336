// A shop of three shards of which one moves, and the buyers whose holds have to outlast that.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import { connectRedis } from '../../core/redis/connection.ts'
import { shardKeys } from '../../core/redis/keys.ts'
import { breachesIn } from './audit.ts'
import { auditHere } from './audit-here.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { eventually } from './eventually.ts'
import { checkout, codeOf, currentSale, purchase } from './items.ts'
import { type MoveRun, startMove } from './move-shard.ts'
import { childrenOf, signal } from './processes.ts'
import { type ClusterProcess, type RedisCluster, startRedisCluster } from './redis-cluster.ts'
import type { Scope } from './scope.ts'
import { servicesEnv, startPostgres } from './services.ts'

const shards = 3
/** The shard that moves. */
export const moved = 1
const items = 3_000

/** A real server whose sale is spread over a real cluster, and what it takes to move a shard beside it. */
export async function startMovingShop(scope: Scope) {
  const nodes = await startRedisCluster(scope, { masters: shards, replicas: 1 })
  const postgres = await startPostgres(scope, { durable: true })
  const server = await startCluster(scope, {
    env: {
      ...servicesEnv({ redis: { ...nodes.settings, tls: false }, db: postgres.connection }),
      APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
      APP_ITEM_NUMBER: String(items),
      APP_USER_LIMIT: '9',
      APP_WORKERS: '1',
      // Above what a test stops the persister for.
      APP_HEARTBEAT_SECONDS: '60',
      APP_SHARDS: String(shards),
    },
  })
  const sale = await currentSale(server)
  return { nodes, server, sale, ...buyersOf(server, sale), ...moves(nodes, server), ...lookedAt(nodes, server) }
}

/** Their holds, and what becomes of them. */
function buyersOf(server: Cluster, sale: number) {
  let placeNext = 0

  /** One that nobody was told of before. Items 2, 5, 8 ... are of the shard that moves. */
  function newItem(shard = moved): string {
    return `${sale}-${1 + shard + shards * (items / shards - ++placeNext)}`
  }

  async function holdSome(count: number): Promise<string[]> {
    const codes: string[] = []
    for (let n = 0; n < count; n++) {
      const [user, item] = [`buyer-${placeNext}`, newItem()]
      // On a busy machine a master may be away for a moment. The same again is the same hold.
      const isDecided = async () => {
        const reply = await checkout(server, user, item)
        return reply.status === 503 ? undefined : reply
      }
      codes.push(codeOf(await eventually(isDecided, { what: `a decision on item ${item}` })))
    }
    return codes
  }

  /** The servers' workers find out by themselves, within a second. */
  async function untilSold(what: string): Promise<void> {
    const item = newItem()
    await eventually(async () => (await checkout(server, `user-${item}`, item)).status === 200, { what })
  }

  /** Every hold of before is redeemed, and what was redeemed before is answered as before. */
  async function redeemAll(codes: readonly string[]): Promise<void> {
    for (const code of codes) await eventually(async () => (await purchase(server, code)).status === 200)
  }

  return { newItem, holdSome, untilSold, redeemAll }
}

function moves(nodes: RedisCluster, server: Cluster) {
  function move(t: TestContext, to: ClusterProcess, args: readonly string[] = []): MoveRun {
    return startMove(t, { env: server.env, cluster: nodes, shard: moved, to, args })
  }

  async function assertMoved(t: TestContext, to: ClusterProcess): Promise<string> {
    const { status, stderr } = await move(t, to).ended
    assert.equal(status, 0, stderr)
    assert.match(stderr, /shard 1 is at \S+, and admitted\. It was closed for \d+\.\d s\n$/)
    assert.equal((await nodes.masterOf(moved)).id, to.id)
    return stderr
  }

  /** A master that doesn't have the shard. */
  async function otherMaster(): Promise<ClusterProcess> {
    const [zero, one, two] = await Promise.all([0, moved, 2].map((shard) => nodes.masterOf(shard)))
    const found = [zero, two].find((node) => node !== undefined && node.id !== one?.id)
    return found ?? assert.fail('all shards are on one master')
  }

  return { move, assertMoved, otherMaster }
}

function lookedAt(nodes: RedisCluster, server: Cluster) {
  async function untilDrained(t: TestContext): Promise<void> {
    // To whoever has the shard: on a busy machine a replica may take its master's place.
    const admin = connectRedis(nodes.admin, { shard: moved, name: 'hotcakes test' })
    t.after(() => admin.disconnect())
    const isDrained = async () => {
      if (admin.status === 'wait' || admin.status === 'end') await admin.connect()
      return (await admin.xlen(shardKeys(moved).log)) === 0
    }
    await eventually(isDrained, { what: 'a drained log' })
  }

  async function assertAudited(): Promise<void> {
    const audit = await auditHere(server.env)
    assert.deepEqual(breachesIn(audit), {})
    assert.equal(audit.verdict, 'passed', audit.not_checked.join())
  }

  /** What is in the log stays there until it goes on, or until the primary has replaced it, because it hangs. */
  function stopPersister(t: TestContext): () => void {
    const [pid = assert.fail()] = childrenOf(server.pid, /persister-main/)
    const goOn = (): void => signal(pid, 'SIGCONT')
    process.kill(pid, 'SIGSTOP')
    t.after(goOn)
    return goOn
  }

  return { untilDrained, assertAudited, stopPersister }
}

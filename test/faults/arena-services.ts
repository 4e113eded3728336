import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { eventually } from '../helpers/eventually.ts'
import { stillRunning } from '../helpers/processes.ts'
import { type RedisCluster, startRedisCluster } from '../helpers/redis-cluster.ts'
import { type Scope, temporaryFolder } from '../helpers/scope.ts'
import { startPostgres, startRedis, type TestRedis, type TestService } from '../helpers/services.ts'
import { Link } from './link.ts'
import { mountObstacle, SmallDisk } from './small-disk.ts'

/** Enough for what a group of rounds writes; quick to fill. */
const redisDiskMegabytes = 64
const postgresDiskMegabytes = 256

/** Redis and Postgres, the networks to them and the disks under them. */
export interface ArenaServices {
  /** One Redis alone, or a cluster. */
  readonly redis: SingleRedis | RedisCluster
  readonly postgres: TestService<EmbeddedPostgres>
  readonly postgresLink: Link
  /** Of a cluster: a node's port -> the network between it and its clients. */
  readonly nodeLinks: ReadonlyMap<number, Link>
  /** Where a file system can be mounted. */
  readonly postgresDisk: SmallDisk | undefined
}

export interface SingleRedis {
  readonly redis: TestRedis
  /** Its data is in `redis` below it. */
  readonly folder: string
  readonly link: Link
  /** Where a file system can be mounted. */
  readonly disk: SmallDisk | undefined
}

/** @param shards above one: a cluster of so many masters with a replica each */
export async function startArenaServices(scope: Scope, shards: number): Promise<ArenaServices> {
  const nodeLinks = new Map<number, Link>()
  const front = async (port: number) => {
    const link = await Link.start(scope, port)
    nodeLinks.set(port, link)
    return link.port
  }
  const redis =
    shards === 1
      ? await startSingle(scope)
      : await startRedisCluster(scope, { masters: shards, replicas: 1, shards, front })
  const postgresDisk = smallDisk(scope, postgresDiskMegabytes)
  const postgres = await startPostgres(scope, postgresDisk)
  return { redis, postgres, postgresLink: await Link.start(scope, postgres.connection.port), nodeLinks, postgresDisk }
}

async function startSingle(scope: Scope): Promise<SingleRedis> {
  const disk = smallDisk(scope, redisDiskMegabytes)
  const folder = disk?.folder ?? temporaryFolder(scope)
  const redis = await startRedis(scope, { folder })
  return { redis, folder, link: await Link.start(scope, redis.connection.port), disk }
}

function smallDisk(scope: Scope, megabytes: number): SmallDisk | undefined {
  return mountObstacle === undefined ? SmallDisk.mount(scope, megabytes) : undefined
}

/**
 * Starts a service if it has died, or dies now of what was done to it before, and waits until it answers. Says how it
 * was found.
 */
export async function revive(
  service: TestService<unknown>,
  { ask, deadlineMs }: { ask: () => Promise<unknown>; deadlineMs: number },
): Promise<string> {
  let starts = 0
  await eventually(
    async () => {
      if (stillRunning([service.pid()]).length === 0) {
        starts++
        await service.start()
      }
      await ask()
      return true
    },
    { deadlineMs, what: 'a service that answers' },
  )
  return starts === 0 ? 'survived' : 'died and was started again'
}

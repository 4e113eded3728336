import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { eventually } from '../helpers/eventually.ts'
import { stillRunning } from '../helpers/processes.ts'
import { type Scope, temporaryFolder } from '../helpers/scope.ts'
import { startPostgres, startRedis, type TestRedis, type TestService } from '../helpers/services.ts'
import { Link } from './link.ts'
import { mountObstacle, SmallDisk } from './small-disk.ts'

/** Enough for what a group of rounds writes; quick to fill. */
const redisDiskMegabytes = 64
const postgresDiskMegabytes = 256

/** Redis and Postgres, the networks to them and the disks under them. */
export interface ArenaServices {
  readonly redis: TestRedis
  /** Its data is in `redis` below it. */
  readonly redisFolder: string
  readonly postgres: TestService<EmbeddedPostgres>
  readonly redisLink: Link
  readonly postgresLink: Link
  /** Where a file system can be mounted. */
  readonly redisDisk: SmallDisk | undefined
  readonly postgresDisk: SmallDisk | undefined
}

export async function startArenaServices(scope: Scope): Promise<ArenaServices> {
  const [redisDisk, postgresDisk] = [redisDiskMegabytes, postgresDiskMegabytes].map((megabytes) => {
    return mountObstacle === undefined ? SmallDisk.mount(scope, megabytes) : undefined
  })
  const redisFolder = redisDisk?.folder ?? temporaryFolder(scope)
  const redis = await startRedis(scope, { folder: redisFolder })
  const postgres = await startPostgres(scope, postgresDisk)
  const redisLink = await Link.start(scope, redis.connection.port)
  const postgresLink = await Link.start(scope, postgres.connection.port)
  return { redis, redisFolder, postgres, redisLink, postgresLink, redisDisk, postgresDisk }
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

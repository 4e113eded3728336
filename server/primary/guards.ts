import type { Config } from '../../core/config/load.ts'
import { rebuildMsMax } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import { AsyncPostgres } from '../../core/postgres/async-postgres.ts'
import type { ShardState } from '../../core/shard-state.ts'
import { Admissions } from './admissions.ts'
import { patiently } from './dependencies.ts'
import type { PrimaryShard } from './primary-shard.ts'
import type { RunGuard } from './run-guard.ts'
import type { AskedChild } from './seen-positions.ts'
import type { Shutdown } from './shutdown.ts'

export interface GuardsOptions {
  readonly config: Config
  readonly log: Log
  readonly shutdown: Shutdown
  readonly shards: readonly PrimaryShard[]
  /** The HTTP workers, which know what they have answered. */
  readonly workers: () => readonly AskedChild[]
  /** Whether a shard may be sold from; each change once. */
  readonly onState: (shard: number, state: ShardState) => void
  readonly onRecovery: (shard: number) => void
}

/** The guards of all shards, which share two connections to Postgres. Closed by the shutdown. */
export class Guards {
  readonly #guards: readonly RunGuard[]
  readonly #admissions: Admissions

  private constructor(guards: readonly RunGuard[], admissions: Admissions) {
    this.#guards = guards
    this.#admissions = admissions
  }

  /**
   * Compares every shard's Redis with Postgres for the first time, and has admitted what may decide. What has lost something is
   * rebuilt later, by `run`: until then it is answered that it will be.
   * @throws Fault when Redis and Postgres don't belong together: a person has to look
   */
  static async start(options: GuardsOptions): Promise<Guards> {
    const { config, log, shutdown, shards, workers, onState, onRecovery } = options
    const database = new AsyncPostgres(config.db, { applicationName: 'hotcakes primary', connectionsMax: 1 })
    const recoveryDatabase = new AsyncPostgres(config.db, {
      applicationName: 'hotcakes recovery',
      connectionsMax: 2,
      deadlineMs: rebuildMsMax,
    })
    const guards = shards.map((shard) =>
      shard.guard({ database, workers, onState: (state) => onState(shard.number, state) }),
    )
    const ttlSeconds = config.redis.ttlHours * 3_600
    const admissions = new Admissions({ guards, database: recoveryDatabase, ttlSeconds, log, onRecovery })
    shutdown.opened({
      name: 'the guard of the record',
      close: async () => {
        for (const guard of guards) guard.stop()
        await Promise.all([database.close(), recoveryDatabase.close()])
        return []
      },
    })
    const first = firstLook(guards, admissions)
    await patiently(first, { what: 'the comparison of Redis with Postgres', log, signal: shutdown.signal })
    return new Guards(guards, admissions)
  }

  /** Looks on, until the shutdown. @param onBug of one that ended without being asked to */
  run(onBug: (error: unknown) => void): void {
    for (const guard of this.#guards) guard.run(() => this.#admissions.attempt()).catch(onBug)
  }
}

/** @throws Fault when a person has to decide: then there is nothing to start for */
async function firstLook(guards: readonly RunGuard[], admissions: Admissions): Promise<void> {
  const looks = await Promise.all(guards.map((guard) => guard.look()))
  if (looks.some(({ kind }) => kind === 'waiting')) await admissions.attempt({ mayRebuild: false })
  for (const finding of await Promise.all(guards.map((guard) => guard.look()))) {
    if (finding.kind === 'refused') throw finding.fault
  }
}

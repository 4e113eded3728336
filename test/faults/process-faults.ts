import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { processTree, signal } from '../helpers/processes.ts'
import type { FaultKind } from './fault-kind.ts'

/** Death and paralysis of every process that there is. */
export const processFaults = {
  kill_http: {
    about: 'SIGKILL of one or all HTTP workers',
    targets: ['http'],
    inject: async (arena, random) => {
      const pids = await arena.childPids('http')
      const victims = random.chance(0.7) ? pids.slice(0, 1) : pids
      for (const pid of victims) signal(pid, 'SIGKILL')
      return `killed ${victims.length} of ${pids.length} HTTP workers`
    },
  },
  kill_persister: {
    about: 'SIGKILL of the persister',
    targets: ['persister'],
    inject: async (arena) => {
      for (const pid of await arena.childPids('persister')) signal(pid, 'SIGKILL')
      return 'killed the persister'
    },
  },
  kill_primary: {
    about: 'SIGKILL of the primary: its children must end, then the server is started again',
    targets: ['primary', 'http', 'persister'],
    inject: async (arena) => {
      const endedMs = await tookMs(() => arena.killServer())
      const startedMs = await tookMs(() => arena.startServer())
      return `killed the primary, whose children ended in ${endedMs} ms; the server started again in ${startedMs} ms`
    },
  },
  second_server: {
    about: 'a second server on the same services sells beside it, then is stopped or killed',
    targets: ['primary'],
    inject: async (arena, random) => {
      const [ms, end] = [random.between(300, 1_500), random.pick(['SIGTERM', 'SIGKILL'] as const)]
      await arena.besideSecondServer(async (pid) => {
        await delay(ms)
        signal(pid, end)
      })
      return `had a second server beside it for ${ms} ms, ended by ${end}`
    },
  },
  reload: {
    about: 'SIGHUP: the HTTP workers are replaced one by one',
    targets: ['http', 'primary'],
    inject: async (arena, random) => {
      signal(arena.primaryPid, 'SIGHUP')
      await delay(random.between(0, 1_500))
      return 'had the HTTP workers replaced one by one'
    },
  },
  kill_redis: {
    about: 'SIGKILL of Redis, started again from its append-only file',
    on: 'single',
    targets: ['redis'],
    inject: async (arena, random) => {
      signal(arena.single.redis.pid(), 'SIGKILL')
      const ms = random.between(0, 800)
      await delay(ms)
      await arena.single.redis.start()
      return `killed Redis, started again after ${ms} ms`
    },
  },
  kill_postgres: {
    about: 'SIGKILL of Postgres, or of one of its processes',
    targets: ['postgres'],
    inject: async (arena, random) => {
      const [postmaster = 0, ...others] = processTree(arena.services.postgres.pid())
      const ms = random.between(0, 800)
      if (random.chance(0.3)) {
        // The postmaster then ends all others and recovers by itself.
        signal(random.pick(others), 'SIGKILL')
        return 'killed one process of Postgres'
      }
      for (const pid of [postmaster, ...others]) signal(pid, 'SIGKILL')
      await delay(ms)
      await arena.services.postgres.start()
      return `killed Postgres, started again after ${ms} ms`
    },
  },
  stop_http: {
    about: 'SIGSTOP to SIGCONT of HTTP workers; the longer ones are killed for their silence',
    targets: ['http'],
    inject: async (arena, random) => {
      const pids = await arena.childPids('http')
      return await paralyse('HTTP worker', pids.slice(0, random.between(1, pids.length)), random)
    },
  },
  stop_persister: {
    about: 'SIGSTOP to SIGCONT of the persister',
    targets: ['persister'],
    inject: async (arena, random) => await paralyse('the persister', await arena.childPids('persister'), random),
  },
  stop_primary: {
    about: 'SIGSTOP to SIGCONT of the primary',
    targets: ['primary'],
    inject: async (arena, random) => await paralyse('the primary', [arena.primaryPid], random),
  },
  stop_redis: {
    about: 'SIGSTOP to SIGCONT of Redis: calls that timed out are carried out later',
    on: 'single',
    targets: ['redis'],
    inject: async (arena, random) => await paralyse('Redis', [arena.single.redis.pid()], random),
  },
  stop_postgres: {
    about: 'SIGSTOP to SIGCONT of all processes of Postgres',
    targets: ['postgres'],
    inject: async (arena, random) => await paralyse('Postgres', processTree(arena.services.postgres.pid()), random),
  },
} as const satisfies Record<string, FaultKind>

/** Stopped processes wake up with their old connections and beliefs; a child may have been killed for its silence. */
async function paralyse(who: string, pids: readonly number[], random: SeededRandom): Promise<string> {
  const ms = random.pick([random.between(50, 500), random.between(500, 2_000), random.between(3_200, 4_500)])
  for (const pid of pids) signal(pid, 'SIGSTOP')
  await delay(ms)
  for (const pid of pids) signal(pid, 'SIGCONT')
  return `stopped ${who} (${pids.length}) for ${ms} ms`
}

async function tookMs(action: () => Promise<void>): Promise<number> {
  const startMs = performance.now()
  await action()
  return Math.round(performance.now() - startMs)
}

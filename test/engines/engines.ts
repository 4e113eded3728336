import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { unpackFromDebian } from './debian-packages.ts'
import { runWithOwnLibraries } from './foreign-program.ts'

/** Beside promtool, which is fetched for tests as well. */
const enginesFolder = fileURLToPath(new URL('../../../.tools/engines/', import.meta.url))

export type Service = 'redis' | 'postgres'

interface Engine {
  readonly service: Service
  /** How the engine begins when it says its name and version. */
  readonly version: string
  /** A Debian release that has it; none: it comes with the npm packages. */
  readonly source?: {
    readonly release: string
    readonly packageName: string
    /** Of its programs. */
    readonly folder: string
    readonly programs: readonly [server: string, ...others: string[]]
  }
}

export const engines = {
  'redis-7': {
    service: 'redis',
    version: 'Redis 7.0.',
    source: { release: 'bookworm', packageName: 'redis-server', folder: 'usr/bin', programs: ['redis-server'] },
  },
  'redis-8': {
    service: 'redis',
    version: 'Redis 8.',
    source: { release: 'trixie', packageName: 'redis-server', folder: 'usr/bin', programs: ['redis-server'] },
  },
  'valkey-8': {
    service: 'redis',
    version: 'Valkey 8.',
    source: { release: 'trixie', packageName: 'valkey-server', folder: 'usr/bin', programs: ['valkey-server'] },
  },
  'postgresql-15': {
    service: 'postgres',
    version: 'PostgreSQL 15.',
    source: {
      release: 'bookworm',
      packageName: 'postgresql-15',
      folder: 'usr/lib/postgresql/15/bin',
      programs: ['postgres', 'initdb'],
    },
  },
  'postgresql-18': { service: 'postgres', version: 'PostgreSQL 18.' },
} as const satisfies Record<string, Engine>

export type EngineId = keyof typeof engines
export const engineIds = Object.keys(engines) as EngineId[]

/** What test/helpers/services.ts reads; without them the engines are those that the server would find. */
export const chosenNames = ['HOTCAKES_TEST_REDIS', 'HOTCAKES_TEST_POSTGRES'] as const

/** Names the program of an engine, where Debian's packages can't be had: HOTCAKES_ENGINE_REDIS_8. */
export function overrideName(id: EngineId): string {
  return `HOTCAKES_ENGINE_${id.toUpperCase().replaceAll('-', '_')}`
}

/**
 * The settings with which test/helpers/services.ts starts this engine. Fetches it once; then it stays below .tools/.
 * @throws Error that says what is needed
 */
export function provideEngine(
  id: EngineId,
  { say, folder = enginesFolder }: { say: (text: string) => void; folder?: string },
): Record<string, string> {
  const { service, version, source }: Engine = engines[id]
  if (source === undefined) return {}
  const given = process.env[overrideName(id)]
  const root = join(folder, id)
  if (given === undefined && !existsSync(root)) {
    say(`fetching ${id} from Debian's ${source.release}`)
    try {
      fetchEngine(source, root)
    } catch (cause) {
      const what = `${version}x is needed and Debian's package ${source.packageName} of ${source.release} could not be fetched`
      const advice = `set ${overrideName(id)} to ${service === 'redis' ? 'its server program' : 'the folder of its programs'}`
      throw new Error(`${what} (${(cause as Error).message}). Elsewhere than on Debian, ${advice}`, { cause })
    }
  }
  const programs = join(root, source.folder)
  return service === 'redis'
    ? { HOTCAKES_TEST_REDIS: given ?? join(programs, source.programs[0]) }
    : { HOTCAKES_TEST_POSTGRES: given ?? programs }
}

/** Appears whole or not at all; of two at once the first one stays. */
function fetchEngine(source: NonNullable<Engine['source']>, root: string): void {
  mkdirSync(dirname(root), { recursive: true })
  const draft = mkdtempSync(join(dirname(root), 'new-'))
  chmodSync(draft, 0o755) // PostgreSQL runs as another user when we are root
  try {
    unpackFromDebian({ ...source, folder: draft })
    for (const program of source.programs) runWithOwnLibraries(draft, `${source.folder}/${program}`)
    if (!existsSync(root)) renameSync(draft, root)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

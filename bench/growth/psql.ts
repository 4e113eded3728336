import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'
import { msPerSecond } from '../../core/time.ts'

/** What is to be copied into a table. */
export interface CopyFile {
  readonly path: string
  /** The table with its columns. */
  readonly into: string
  readonly rows: number
}

export function hasPsql(): boolean {
  return spawnSync('psql', ['--version'], { stdio: 'ignore' }).status === 0
}

/**
 * Copies all files in one transaction. By psql's own clock, which leaves its start and the connection out.
 * @returns seconds
 * @throws when it fails, or copies another number of rows
 */
export async function psqlCopy(
  files: readonly CopyFile[],
  { host, port, user, password, name, sslMode }: PostgresSettings,
  signal: AbortSignal,
): Promise<number> {
  const child = spawn('psql', ['-X', '-v', 'ON_ERROR_STOP=1', '-f', '-'], {
    env: {
      PATH: process.env['PATH'],
      LC_ALL: 'C',
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: name,
      PGSSLMODE: sslMode,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
    signal,
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  const copies = files.map(({ path, into }) => `\\copy ${into} from '${path}'`)
  child.stdin.end(['\\timing on', 'begin;', ...copies, 'commit;', ''].join('\n'))
  const [exitCode] = (await once(child, 'close')) as [number | null]
  const copied = [...stdout.matchAll(/^COPY (\d+)$/gm)].map(([, rows]) => Number(rows))
  if (exitCode !== 0 || copied.join() !== files.map(({ rows }) => rows).join())
    throw new Error(`psql ended with status ${exitCode} and copied ${copied.join(', ')} rows`)
  const timesMs = [...stdout.matchAll(/^Time: ([\d.]+) ms/gm)].map(([, ms]) => Number(ms))
  return timesMs.reduce((sum, ms) => sum + ms, 0) / msPerSecond
}

import { chmodSync, chownSync, existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import { isRoot, postgresLauncher } from '../../ops/embedded/launcher.ts'
import { postgresAnswers } from '../../ops/embedded/probes.ts'
import { EmbeddedService } from '../../ops/embedded/service.ts'
import { createFolder, removeFolder, type Scope } from './scope.ts'

/** Where ops/setup/unpacked-tools.mjs or the system has put it. */
function programPath(): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  const found = folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path))
  if (found === undefined) throw new Error('no pgbouncer: npm test fetches it')
  return found
}

/** A real PgBouncer before the database. Answers how to reach it; the rest of the connection is the database's. */
export async function startPgbouncer(
  scope: Scope,
  options: { db: EmbeddedPostgres; mode: 'session' | 'transaction' | 'statement' },
): Promise<EmbeddedPostgres> {
  const { db, mode } = options
  const folder = createFolder()
  const running: { service?: EmbeddedService } = {}
  scope.after(async () => {
    await running.service?.stop()
    removeFolder(folder)
  })
  const program = programPath()
  const launcher = postgresLauncher({ program, dataDir: folder }) // it refuses to be root as well
  if (isRoot) chmodSync(folder, 0o711)
  const put = (name: string, lines: readonly string[]) => {
    const path = join(folder, name)
    writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 })
    if (launcher.account !== undefined) chownSync(path, launcher.account.uid, launcher.account.gid)
    return path
  }
  const users = put('users.txt', [`"${db.user}" "${db.password}"`, `"${db.ownerUser}" "${db.ownerPassword}"`])
  running.service = await EmbeddedService.start({
    name: 'PgBouncer',
    launcher,
    command: (port) => {
      const config = put('pgbouncer.ini', [
        '[databases]',
        `${db.name} = host=${db.host} port=${db.port}`,
        '[pgbouncer]',
        'listen_addr = 127.0.0.1',
        `listen_port = ${port}`,
        'unix_socket_dir =',
        'auth_type = scram-sha-256',
        `auth_file = ${users}`,
        `pool_mode = ${mode}`,
        'default_pool_size = 40',
      ])
      return [program, config]
    },
    answers: (port) => postgresAnswers({ ...db, port }),
    deathSignal: 'INT',
    stopSignals: ['SIGTERM', 'SIGKILL'],
    logFile: join(folder, 'pgbouncer.log'),
    onLaunch: () => undefined,
    waiting: { say: () => undefined, signal: new AbortController().signal },
  })
  return { ...db, port: running.service.port }
}

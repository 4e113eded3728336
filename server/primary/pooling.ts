import { Fault } from '../../core/faults.ts'
import { poolerAnswerMsMax } from '../../core/limits.ts'
import { type AsyncConnection, connectBare } from '../../core/postgres/async-connection.ts'
import type { PostgresSettings } from '../../core/postgres/conninfo.ts'
import { PostgresFault } from '../../core/postgres/postgres-fault.ts'
import { startTimeLimit } from '../../core/time-limit.ts'

/** The order in which two connections ask who serves them. One twice first: a pooler may hand out its sessions in turn. */
const turns = [0, 0, 1, 0, 1, 1, 0, 1] as const

/**
 * Refuses a pooler that gives each transaction another session of Postgres: settings, prepared statements and locks of ours
 * would go astray. Two connections are open at the same time; a session of Postgres that serves both, or two that serve one,
 * exist only behind such a pooler. (A busy one might still answer alike by chance, eight times.)
 * @throws Fault HC_POSTGRES_POOLED; PostgresFault
 */
export async function assertOwnSessions(settings: PostgresSettings, signal: AbortSignal): Promise<void> {
  const connections: AsyncConnection[] = []
  const close = (): void => {
    for (const connection of connections)
      connection.giveUp(new PostgresFault(`no session of Postgres within ${poolerAnswerMsMax} ms, or stopped`))
  }
  signal.addEventListener('abort', close)
  // A pooler that has no session free keeps both waiting.
  const endLimit = startTimeLimit(poolerAnswerMsMax, close)
  try {
    for (let n = 0; n < 2; n++) {
      connections.push(await connectBare(settings, { applicationName: 'hotcakes primary', onEnd: () => undefined }))
      signal.throwIfAborted()
    }
    const served: [Set<number>, Set<number>] = [new Set(), new Set()]
    for (const turn of turns) {
      const [row] = (await connections[turn]?.query<{ pid: number }>({ text: 'select pg_backend_pid() as pid' })) ?? []
      served[turn].add(row?.pid ?? 0)
    }
    const [first, second] = served
    const isShared = first.size > 1 || second.size > 1 || [...first].some((pid) => second.has(pid))
    if (isShared) {
      throw new Fault(
        'HC_POSTGRES_POOLED',
        `${settings.host}:${settings.port} is a connection pooler that shares sessions between clients of user ` +
          `${settings.user}: set its pool_mode to session for database ${settings.name}, or name Postgres itself`,
      )
    }
  } finally {
    endLimit()
    signal.removeEventListener('abort', close)
    close()
  }
}

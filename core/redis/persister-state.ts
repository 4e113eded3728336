import type { Redis } from 'ioredis'
import { persisterSilenceMsMax } from '../limits.ts'
import { formatLogPosition, type LogPosition, parseLogPosition } from '../log-position.ts'
import { redisFault } from './connection.ts'
import type { ShardKeys } from './keys.ts'

/** What the persister says of itself, once a second and when it changes. */
export interface PersisterState {
  /** active: it drains the log; standby: another one does; away: Postgres does not answer or refuses. */
  readonly state: 'active' | 'standby' | 'away'
  /** Everything up to here is committed in Postgres. */
  readonly position: LogPosition
  readonly host: string
  readonly pid: number
}

/** @throws Fault */
export async function publishPersisterState(redis: Redis, keys: ShardKeys, state: PersisterState): Promise<void> {
  const fields = { state: state.state, position: formatLogPosition(state.position), host: state.host, pid: state.pid }
  await redis
    .multi()
    .hset(keys.persister, fields)
    .pexpire(keys.persister, persisterSilenceMsMax)
    .exec()
    .catch((error: unknown) => {
      throw redisFault(error)
    })
}

/** From a flat list of field and value; undefined when it is empty. */
export function readPersisterState(flat: readonly Buffer[]): PersisterState | undefined {
  const fields = new Map<string, string>()
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(String(flat[at]), String(flat[at + 1]))
  const position = fields.get('position')
  if (position === undefined) return undefined
  return {
    state: fields.get('state') as PersisterState['state'],
    position: parseLogPosition(position),
    host: fields.get('host') ?? '',
    pid: Number(fields.get('pid')),
  }
}

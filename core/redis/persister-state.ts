import type { Redis } from 'ioredis'
import { type FaultCode, faultTitles } from '../faults.ts'
import { persisterSilenceMsMax } from '../limits.ts'
import { formatLogPosition, type LogPosition, parseLogPosition } from '../log-position.ts'
import { redisFault } from './connection.ts'
import { pairs } from './flat-pairs.ts'
import type { ShardKeys } from './keys.ts'

/**
 * active: it drains the log; standby: another one does. Nothing gets into Postgres when it is away: Postgres does not
 * answer; refused: Postgres answers and takes no rows; locked: another session's lock keeps them out; log_fault: the
 * log itself can't be copied.
 */
export const persisterStates = ['active', 'standby', 'away', 'refused', 'locked', 'log_fault'] as const
export type PersisterStateName = (typeof persisterStates)[number]

/** Why nothing gets into Postgres. */
export interface PersisterTrouble {
  readonly fault: FaultCode
  /** For people, and shown to whoever asks: no secret, and nothing that a row holds. '': nothing that may be shown. */
  readonly reason: string
}

/** What the persister says of itself, once a second and when it changes. */
export interface PersisterState {
  readonly state: PersisterStateName
  readonly trouble?: PersisterTrouble | undefined
  /** Everything up to here is committed in Postgres. */
  readonly position: LogPosition
  readonly host: string
  readonly pid: number
}

/** @throws Fault */
export async function publishPersisterState(redis: Redis, keys: ShardKeys, state: PersisterState): Promise<void> {
  await redis
    .multi()
    .hset(keys.persister, persisterFields(state))
    .pexpire(keys.persister, persisterSilenceMsMax)
    .exec()
    .catch((error: unknown) => {
      throw redisFault(error)
    })
}

/**
 * Servers of an earlier version know three states, and take whatever they don't know for a Postgres that is up: so
 * `state` says away to them, and `detail` says more. They leave `detail` as it is when they write: `detail_of` is whose.
 */
export function persisterFields({
  state,
  trouble,
  position,
  host,
  pid,
}: PersisterState): Record<string, string | number> {
  return {
    state: state === 'active' || state === 'standby' ? state : 'away',
    position: formatLogPosition(position),
    host,
    pid,
    detail: state,
    detail_of: `${host} ${pid}`,
    fault: trouble?.fault ?? '',
    reason: trouble?.reason ?? '',
  }
}

/**
 * From a flat list of field and value; undefined when it names no position.
 * @throws Fault HC_LOG_MALFORMED when the position is none
 */
export function readPersisterState(flat: readonly Buffer[]): PersisterState | undefined {
  const fields = new Map([...pairs(flat)].map(([name, value]) => [name, String(value)]))
  const position = fields.get('position')
  if (position === undefined) return undefined
  const [host, pid] = [fields.get('host') ?? '', Number(fields.get('pid'))]
  const isDetailed = fields.get('detail_of') === `${host} ${pid}`
  const said = fields.get('state')
  const state = said === 'away' && isDetailed ? fields.get('detail') : said
  const fault = isDetailed ? fields.get('fault') : undefined
  return {
    // A word of a later version: all that is sure is that it isn't one of those that are well.
    state: persisterStates.find((name) => name === state) ?? 'away',
    ...(isFaultCode(fault) && { trouble: { fault, reason: fields.get('reason') ?? '' } }),
    position: parseLogPosition(position),
    host,
    pid,
  }
}

function isFaultCode(text: string | undefined): text is FaultCode {
  return text !== undefined && Object.hasOwn(faultTitles, text)
}

import assert from 'node:assert/strict'
import type { Fault } from '../core/faults.ts'
import { compareLogPositions, type LogPosition } from '../core/log-position.ts'
import type { PersisterTrouble } from '../core/redis/persister-state.ts'
import { isOfEntry, publicTrouble, type StuckName, stateAfter } from './refusals.ts'

/*
 * The persister's places, and the events that take it from one to another. `next` is the only way between them.
 *
 *                            connecting            Redis was never reached
 *                                │ connected
 *                                ▼
 *                             starting             nothing was tried yet
 *                                │
 *          copied, idle          │ overtaken,      blocked
 *                                │ redis_replaced
 *         ┌──────────────────────┼────────────────────┐
 *         ▼                      ▼                    ▼
 *       active                standby            stuck: away, refused, locked, log_fault
 *      it drains          another one drains,    nothing gets into Postgres, and why
 *                         or it reaches another
 *                         run than the admitted
 *         ▲                      ▲                    ▲
 *         └──────────────────────┴────────────────────┘
 *           these three also lead to each other, by the same events
 *
 * Beside the place:
 * - The goal goes from run to drain to stop and never back. Only a persister whose goal is to run stands by for another one:
 *   with another goal `overtaken` leaves the place as it is.
 * - The offset is known from `located` until the next failure, whichever that is.
 * - The other failures (redis_failed, gap_seen, run_refused) leave the place as it is.
 * - An active persister whose transaction hangs shows itself as away, without a move (state-report.ts).
 */

export type Goal = 'run' | 'drain' | 'stop'

export type Place =
  | { readonly name: 'connecting' | 'starting' | 'active' }
  | { readonly name: 'standby'; readonly why: 'overtaken' }
  /** `looks`: how often it has looked since whether that has changed. */
  | { readonly name: 'standby'; readonly why: 'redis_replaced'; readonly looks: number }
  | { readonly name: StuckName; readonly trouble: PersisterTrouble }

/** Where the log is in Postgres: a guess, which the transaction that copies what follows checks. */
export interface Offset {
  /** Grows as long as the offset is known. */
  readonly position: LogPosition
  /** When Redis and Postgres were last seen to agree (performance.now()); -Infinity: not since Postgres was asked. */
  readonly checkedAtMs: number
}

/** Entries are missing after a position. Another persister may have committed and trimmed them since we asked Postgres. */
export interface Gap {
  readonly after: LogPosition
  /** Postgres was asked since: if it was still at `after`, the next sight of the gap is a fault. */
  readonly isChecked: boolean
}

export interface DrainState {
  readonly goal: Goal
  readonly place: Place
  /** undefined: Postgres has to be asked, at the start and after each failure. */
  readonly offset: Offset | undefined
  /** The last offset that was ever known, for what is said to others. */
  readonly lastPosition: LogPosition
  /** The last gap that was seen, until something is copied or all is seen to be well. */
  readonly gap: Gap | undefined
}

export const initialState: DrainState = {
  goal: 'run',
  place: { name: 'connecting' },
  offset: undefined,
  lastPosition: { epoch: 0, seq: 0 },
  gap: undefined,
}

export type Success =
  /** A transaction has written all up to `through`. */
  | { readonly name: 'copied'; readonly through: LogPosition; readonly atMs: number }
  /** Nothing follows the offset, and Redis and Postgres agree on that. */
  | { readonly name: 'idle'; readonly atMs: number }

export type Failure =
  /** Another persister has moved the offset. */
  | { readonly name: 'overtaken' }
  /** Postgres names another run of Redis than the one that was read from. */
  | { readonly name: 'redis_replaced' }
  | { readonly name: 'gap_seen' }
  /** Postgres refuses what some row of several log entries holds: fewer are tried at once. */
  | { readonly name: 'run_refused' }
  /** Its client connects again by itself, and says nothing of Postgres: the place stays. */
  | { readonly name: 'redis_failed' }
  | { readonly name: 'blocked'; readonly place: StuckName; readonly trouble: PersisterTrouble }

export type DrainEvent =
  | Success
  | Failure
  | { readonly name: 'connected' }
  /** Postgres has said where it is. */
  | { readonly name: 'located'; readonly position: LogPosition }
  /** The same, asked in standby for what has changed. */
  | { readonly name: 'looked'; readonly position: LogPosition }
  | { readonly name: 'drain' }
  | { readonly name: 'stop' }

/** The state after an event. An event that can't happen in a place is a bug. */
export function next(state: DrainState, event: DrainEvent): DrainState {
  const { goal, place, offset, gap } = state
  assert.ok(place.name !== 'connecting' || beforeRedis.has(event.name), `${event.name} before Redis was reached`)
  switch (event.name) {
    case 'drain':
      return { ...state, goal: goal === 'run' ? 'drain' : goal }
    case 'stop':
      return { ...state, goal: 'stop' }
    case 'connected':
      assert.equal(place.name, 'connecting')
      return { ...state, place: { name: 'starting' } }
    case 'located': {
      assert.equal(offset, undefined, 'Postgres is asked only when the offset is not known')
      const { position } = event
      const known = { position, checkedAtMs: Number.NEGATIVE_INFINITY }
      return { ...state, offset: known, lastPosition: position, gap: gap && { ...gap, isChecked: true } }
    }
    case 'looked':
      assert.equal(place.name, 'standby')
      return { ...state, place: looked(place), lastPosition: event.position }
    case 'copied': {
      const { through, atMs } = event
      assert.ok(offset !== undefined && compareLogPositions(through, offset.position) > 0, 'a copy moves the offset on')
      return {
        goal,
        place: active,
        offset: { position: through, checkedAtMs: atMs },
        lastPosition: through,
        gap: undefined,
      }
    }
    case 'idle':
      assert.ok(offset !== undefined)
      return { ...state, place: active, offset: { ...offset, checkedAtMs: event.atMs }, gap: undefined }
    case 'overtaken':
      return { ...state, place: goal === 'run' ? { name: 'standby', why: 'overtaken' } : place, offset: undefined }
    case 'redis_replaced':
      return { ...state, place: { name: 'standby', why: 'redis_replaced', looks: 0 }, offset: undefined }
    case 'gap_seen':
      assert.ok(offset !== undefined, 'a gap follows a known offset')
      return { ...state, offset: undefined, gap: { after: offset.position, isChecked: false } }
    case 'run_refused':
    case 'redis_failed':
      return { ...state, offset: undefined }
    case 'blocked':
      return { ...state, place: { name: event.place, trouble: event.trouble }, offset: undefined }
  }
}

function looked(place: Place): Place {
  return 'looks' in place ? { ...place, looks: place.looks + 1 } : place
}

/** Shared: it is the place after each chunk. */
const active: Place = { name: 'active' }
const beforeRedis: ReadonlySet<DrainEvent['name']> = new Set(['connected', 'redis_failed', 'drain', 'stop'])

/** `isRunRefused`: fewer log entries than those that Postgres has just refused can be tried. */
export function failureOf(fault: Fault, { place, offset, gap }: DrainState, isRunRefused: boolean): Failure {
  // Until it was reached, Redis is the only one that was asked.
  if (fault.code.startsWith('HC_REDIS_') || place.name === 'connecting') return { name: 'redis_failed' }
  if (fault.code === 'HC_OFFSET_MOVED') return { name: 'overtaken' }
  if (fault.code === 'HC_RUN_REPLACED') return { name: 'redis_replaced' }
  if (fault.code === 'HC_LOG_GAP' && !isAt(gap, offset)) return { name: 'gap_seen' }
  if (isOfEntry(fault) && isRunRefused) return { name: 'run_refused' }
  return { name: 'blocked', place: stateAfter(fault), trouble: publicTrouble(fault) }
}

function isAt(gap: Gap | undefined, offset: Offset | undefined): boolean {
  return gap !== undefined && offset !== undefined && compareLogPositions(gap.after, offset.position) === 0
}

/** What keeps rows out of Postgres; undefined where nothing does. */
export function troubleOf(place: Place): PersisterTrouble | undefined {
  return 'trouble' in place ? place.trouble : undefined
}

/** Whether others should hear of it at once. */
export function isNews(from: Place, to: Place): boolean {
  return to.name !== 'starting' && (from.name !== to.name || troubleOf(from)?.reason !== troubleOf(to)?.reason)
}

/** Whether a step is worth a line in the log: not that a drain which goes well has gone on. */
export function isTurn(from: DrainState, to: DrainState): boolean {
  const isKnown = (state: DrainState) => state.offset !== undefined
  return (
    from.goal !== to.goal || from.place.name !== to.place.name || isKnown(from) !== isKnown(to) || from.gap !== to.gap
  )
}

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault, type FaultCode } from '../core/faults.ts'
import { parseLogPosition } from '../core/log-position.ts'
import { PostgresFault } from '../core/postgres/postgres-fault.ts'
import type { PersisterTrouble } from '../core/redis/persister-state.ts'
import {
  type DrainEvent,
  type DrainState,
  failureOf,
  initialState,
  isNews,
  isTurn,
  next,
  type Offset,
  type Place,
} from './drain-state.ts'

const at = parseLogPosition
const trouble: PersisterTrouble = { fault: 'HC_POSTGRES_LOCKED', reason: 'by somebody' }
const locked: Place = { name: 'locked', trouble }
const standby: Place = { name: 'standby', why: 'overtaken' }
const replaced: Place = { name: 'standby', why: 'redis_replaced', looks: 0 }
const placesAfterRedis: readonly Place[] = [{ name: 'starting' }, { name: 'active' }, standby, replaced, locked]

function known(id: string, checkedAtMs = Number.NEGATIVE_INFINITY): Offset {
  return { position: at(id), checkedAtMs }
}

/** Drains at 1-5, and all is well. */
const well: DrainState = {
  goal: 'run',
  place: { name: 'active' },
  offset: known('1-5', 7),
  lastPosition: at('1-5'),
  gap: undefined,
}
const lost: DrainState = { ...well, offset: undefined }

const blocked: DrainEvent = { name: 'blocked', place: 'locked', trouble }
const copied: DrainEvent = { name: 'copied', through: at('1-9'), atMs: 20 }
const idle: DrainEvent = { name: 'idle', atMs: 20 }

const transitions: readonly [what: string, from: DrainState, event: DrainEvent, changes: Partial<DrainState>][] = [
  ['Redis is reached', initialState, { name: 'connected' }, { place: { name: 'starting' } }],
  ['Redis is not reached', initialState, { name: 'redis_failed' }, {}],
  [
    'Postgres says where it is',
    { ...lost, lastPosition: at('0-0') },
    { name: 'located', position: at('1-5') },
    { offset: known('1-5'), lastPosition: at('1-5') },
  ],
  ['a copy', well, copied, { offset: known('1-9', 20), lastPosition: at('1-9') }],
  ['nothing to copy', well, idle, { offset: known('1-5', 20) }],
  [
    'a look in standby',
    { ...lost, place: standby },
    { name: 'looked', position: at('1-8') },
    { lastPosition: at('1-8') },
  ],
  [
    'a look at who is admitted',
    { ...lost, place: replaced },
    { name: 'looked', position: at('1-8') },
    { place: { ...replaced, looks: 1 }, lastPosition: at('1-8') },
  ],
  ['overtaken', well, { name: 'overtaken' }, { place: standby, offset: undefined }],
  ['another Redis is admitted', well, { name: 'redis_replaced' }, { place: replaced, offset: undefined }],
  [
    'and while it drains to the end',
    { ...well, goal: 'drain' },
    { name: 'redis_replaced' },
    { place: replaced, offset: undefined },
  ],
  ['overtaken while it drains to the end', { ...well, goal: 'drain' }, { name: 'overtaken' }, { offset: undefined }],
  ['Redis is away', well, { name: 'redis_failed' }, { offset: undefined }],
  ['some row of several entries is refused', well, { name: 'run_refused' }, { offset: undefined }],
  ['a lock', well, blocked, { place: locked, offset: undefined }],
  ['a gap', well, { name: 'gap_seen' }, { offset: undefined, gap: { after: at('1-5'), isChecked: false } }],
  [
    'Postgres is asked after a gap',
    { ...lost, gap: { after: at('1-5'), isChecked: false } },
    { name: 'located', position: at('1-5') },
    { offset: known('1-5'), gap: { after: at('1-5'), isChecked: true } },
  ],
  [
    'no gap any more',
    { ...well, gap: { after: at('1-5'), isChecked: true } },
    idle,
    { offset: known('1-5', 20), gap: undefined },
  ],
  ['the end is wanted', well, { name: 'drain' }, { goal: 'drain' }],
  ['and at once', { ...well, goal: 'drain' }, { name: 'stop' }, { goal: 'stop' }],
  ['which can not be taken back', { ...well, goal: 'stop' }, { name: 'drain' }, {}],
]

test('each event changes what the table says, and nothing else', () => {
  for (const [what, from, event, changes] of transitions)
    assert.deepEqual(next(from, event), { ...from, ...changes }, what)
})

test('from each place the same events lead to active, standby and a trouble', () => {
  for (const place of placesAfterRedis) {
    const from = { ...well, place }
    const events: readonly DrainEvent[] = [copied, idle, { name: 'overtaken' }, { name: 'redis_replaced' }, blocked]
    const reached = events.map((event) => next(from, event).place.name)
    assert.deepEqual(reached, ['active', 'active', 'standby', 'standby', 'locked'], place.name)
    for (const name of ['redis_failed', 'run_refused', 'gap_seen'] as const)
      assert.equal(next(from, { name }).place, place, `${name} in ${place.name}`)
  }
})

test('an event that can not happen is a bug', () => {
  const impossible: readonly [DrainState, DrainEvent][] = [
    [initialState, idle],
    [initialState, { name: 'overtaken' }],
    [well, { name: 'connected' }],
    [well, { name: 'located', position: at('1-9') }],
    [well, { name: 'looked', position: at('1-9') }],
    [well, { ...copied, through: at('1-5') }],
    [{ ...well, offset: known('2-1') }, copied],
    [lost, copied],
    [lost, idle],
    [lost, { name: 'gap_seen' }],
  ]
  for (const [state, event] of impossible)
    assert.throws(() => next(state, event), { name: 'AssertionError' }, `${event.name} in ${state.place.name}`)
})

test('a fault leads where its code says', () => {
  const places: readonly [FaultCode, string][] = [
    ['HC_REDIS_UNAVAILABLE', 'redis_failed'],
    ['HC_REDIS_REFUSED', 'redis_failed'],
    ['HC_OFFSET_MOVED', 'overtaken'],
    ['HC_RUN_REPLACED', 'redis_replaced'],
    ['HC_LOG_LOST', 'blocked'],
    ['HC_LOG_MALFORMED', 'blocked'],
    ['HC_POSTGRES_UNAVAILABLE', 'blocked'],
    ['HC_POSTGRES_LOCKED', 'blocked'],
    ['HC_SCHEMA', 'blocked'],
  ]
  for (const [code, name] of places) assert.equal(failureOf(new Fault(code, ''), well, true).name, name, code)
  assert.equal(failureOf(new Fault('HC_RECORD_UNSOUND', ''), initialState, false).name, 'redis_failed')
})

test('a refused row is looked for as long as there are several', () => {
  const refused = new PostgresFault('refused', '22021')
  assert.equal(failureOf(refused, well, true).name, 'run_refused')
  assert.deepEqual(failureOf(refused, well, false), {
    name: 'blocked',
    place: 'refused',
    trouble: { fault: 'HC_POSTGRES_REFUSED', reason: refused.publicReason },
  })
})

function afterGap(state: DrainState): string {
  return failureOf(new Fault('HC_LOG_GAP', 'missing'), state, false).name
}

test('a gap is a fault when it is seen again at the same place', () => {
  assert.equal(afterGap(well), 'gap_seen')
  const again = next(next(well, { name: 'gap_seen' }), { name: 'located', position: at('1-5') })
  assert.equal(afterGap(again), 'blocked')
  const further = next(next(again, blocked), { name: 'located', position: at('1-6') })
  assert.equal(afterGap(further), 'gap_seen')
  assert.equal(afterGap(next(again, idle)), 'gap_seen')
})

test('others hear of another place or another reason, and the debug log of each turn', () => {
  const otherReason: Place = { name: 'locked', trouble: { ...trouble, reason: 'by another' } }
  assert.equal(isNews({ name: 'connecting' }, { name: 'starting' }), false)
  assert.equal(isNews({ name: 'starting' }, locked), true)
  assert.equal(isNews(locked, { ...locked }), false)
  assert.equal(isNews(locked, otherReason), true)
  assert.equal(isNews(locked, { name: 'active' }), true)

  const turns = [copied, idle, { name: 'drain' }, { name: 'redis_failed' }, blocked] as const
  assert.deepEqual(
    turns.map((event) => isTurn(well, next(well, event))),
    [false, false, true, true, true],
  )
  assert.equal(isTurn(lost, next(lost, { name: 'redis_failed' })), false, 'it is still away')
})

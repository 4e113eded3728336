import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import {
  connectionHoldMsMax,
  connectionsBegunPerTurnMax,
  connectionsClosedPerTurn,
  connectionsRefusedWaitingMax,
  fileDescriptorsReserved,
} from '../limits.ts'
import { HeldConnections } from './held-connections.ts'

const perTurn = connectionsBegunPerTurnMax

/** Stands for one of uWebSockets.js. */
class Connection {
  isPaused = false
  isClosed = false
  wasTouchedWhenGone = false
  readonly name: string
  #onAborted: (() => void) | undefined
  #isGone = false

  constructor(name: string) {
    this.name = name
  }

  get hasBegun(): boolean {
    return !this.isPaused && !this.isClosed && !this.#isGone
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.wasTouchedWhenGone ||= this.#isGone
    this.isPaused = false
  }

  close(): void {
    this.wasTouchedWhenGone ||= this.#isGone
    this.isClosed = true
  }

  onAborted(handler: () => void): void {
    this.#onAborted = handler
  }

  getRemoteAddress(): ArrayBuffer {
    return new Uint8Array([127, 0, 0, Number(this.name.split(':')[0])]).buffer
  }

  /** uWebSockets.js closes it. */
  breaks(): void {
    this.#isGone = true
    this.#onAborted?.()
  }
}

/** Connections on a clock and an event loop that the test moves. */
function heldOnClock(t: TestContext) {
  const turns: (() => void)[] = []
  t.mock.method(globalThis, 'setImmediate', (endTurn: () => void) => turns.push(endTurn))
  let nowMs = 0
  const held = new HeldConnections(() => nowMs)
  const came: Connection[] = []
  return {
    held,
    came,
    /** @param address the last byte of it */
    arrive: (count: number, address = 1): Connection[] => {
      const some = Array.from({ length: count }, (_, n) => new Connection(`${address}:${came.length + n}`))
      came.push(...some)
      for (const connection of some) held.arrived(connection)
      return some
    },
    begun: (): string[] => came.filter(({ hasBegun }) => hasBegun).map(({ name }) => name),
    turn: (count = 1): void => {
      for (let n = 0; n < count; n++) for (const endTurn of turns.splice(0)) endTurn()
    },
    pass: (ms: number): void => {
      nowMs += ms
    },
    isIdle: () => turns.length === 0,
  }
}

test('few connections begin at once, and nothing is left to be done for them', (t) => {
  const { held, arrive, begun, turn, isIdle } = heldOnClock(t)
  for (let n = 0; n < 10; n++) {
    arrive(perTurn)
    assert.equal(begun().length, (n + 1) * perTurn)
    turn()
  }
  assert.equal(held.count, 0)
  assert.ok(isIdle())
})

test('of a crowd so many begin in a turn, in the order of arrival', (t) => {
  const { held, came, arrive, begun, turn } = heldOnClock(t)
  arrive(4 * perTurn)
  assert.equal(begun().length, perTurn)
  turn()
  assert.equal(begun().length, perTurn, 'the first turn has had its share')
  turn()
  assert.equal(begun().length, 2 * perTurn)
  const latecomers = arrive(perTurn)
  turn(2)
  assert.ok(latecomers.every(({ isPaused }) => isPaused))
  turn()
  assert.equal(held.count, 0)
  assert.deepEqual(
    begun(),
    came.map(({ name }) => name),
  )
})

test('the addresses take turns: one that comes once is not behind one that came a thousand times', (t) => {
  const { arrive, turn } = heldOnClock(t)
  const flood = arrive(1_000, 1)
  const [probe] = arrive(1, 2)
  turn(2)
  assert.ok(probe?.hasBegun)
  assert.equal(flood.filter(({ hasBegun }) => hasBegun).length, 2 * perTurn - 1)
})

test('a connection that broke while it waited is not touched', (t) => {
  const { came, arrive, turn, held } = heldOnClock(t)
  const waiting = arrive(2 * perTurn).slice(perTurn)
  for (const connection of waiting) connection.breaks()
  turn(2)
  assert.equal(held.count, 0)
  assert.ok(came.every(({ wasTouchedWhenGone }) => !wasTouchedWhenGone))
})

test('a connection whose turn does not come in time is closed and counted, and those that came later begin', (t) => {
  const { held, arrive, turn, pass } = heldOnClock(t)
  arrive(perTurn)
  const late = arrive(connectionsClosedPerTurn + 1)
  pass(connectionHoldMsMax)
  const punctual = arrive(perTurn)
  turn()
  assert.equal(held.late, 0, 'the first turn has had its share')
  turn()
  assert.equal(held.late, connectionsClosedPerTurn)
  turn()
  assert.equal(held.late, late.length)
  assert.ok(late.every(({ isClosed }) => isClosed))
  assert.ok(punctual.every(({ hasBegun }) => hasBegun))
  assert.equal(held.count, 0)
})

test('what is too much is closed at the end of a turn, few at a time, and more when too many wait', (t) => {
  const { held, turn } = heldOnClock(t)
  const refuse = (count: number): Connection[] => {
    const some = Array.from({ length: count }, (_, n) => new Connection(`1:${n}`))
    for (const connection of some) held.refuse(connection)
    return some
  }
  const refused = refuse(connectionsClosedPerTurn + 1)
  assert.ok(refused.every(({ isClosed }) => !isClosed))
  refused[0]?.breaks()
  turn()
  assert.equal(held.refusedWaiting, 1)
  turn()
  assert.ok(refused.slice(1).every(({ isClosed }) => isClosed))
  assert.ok(refused.every(({ wasTouchedWhenGone }) => !wasTouchedWhenGone))
  const many = refuse(2 * connectionsRefusedWaitingMax)
  assert.equal(many.filter(({ isClosed }) => !isClosed).length, connectionsRefusedWaitingMax)
  assert.ok(2 * held.refusedWaiting <= fileDescriptorsReserved, 'they take descriptors that no client may have')
})

test('released, all begin at once, and so does what comes later', (t) => {
  const { held, came, arrive, turn, isIdle } = heldOnClock(t)
  arrive(10 * perTurn)
  held.release()
  arrive(10 * perTurn)
  assert.ok(came.every(({ hasBegun }) => hasBegun))
  assert.equal(held.count, 0)
  turn()
  assert.ok(isIdle())
})

import {
  connectionHoldMsMax,
  connectionsBegunPerTurnMax,
  connectionsClosedPerTurn,
  connectionsRefusedWaitingMax,
} from '../limits.ts'
import { addressKey } from './client-address.ts'

/** A connection that nothing was read of yet. While it is paused, uWebSockets.js neither reads it nor closes it for its age. */
export interface NewConnection {
  pause(): unknown
  resume(): unknown
  close(): unknown
  onAborted(handler: () => void): unknown
  getRemoteAddress(): ArrayBuffer
}

interface Held {
  readonly connection: NewConnection
  readonly sinceMs: number
  /** uWebSockets.js has closed it: its object must not be touched any more. */
  isGone: boolean
}

/** Those of one address, in the order of arrival. The ones before `first` have left. */
interface Lane {
  waiting: Held[]
  first: number
}

/**
 * New connections that wait, unread, for the turn of the event loop in which they begin. uWebSockets.js accepts all that the
 * kernel has in one turn, 512 and more; if all of them sent a request, a buyer on a kept connection would have one answer
 * beside 512 of theirs. So few begin in a turn, whatever comes, and kept connections are read in each. A worker with nothing
 * else to do takes its turns so quickly that nobody notices. A client can't connect anew before it was served, so what an
 * impatient crowd takes by connecting is bounded as well.
 *
 * The addresses take turns: one that connected once begins soon, one that connected a thousand times waits for itself. So a
 * probe, or a buyer who comes new, doesn't stand behind a flood from elsewhere.
 */
export class HeldConnections {
  readonly #now: () => number
  /** Whose turn it is stands first. */
  readonly #lanes = new Map<string, Lane>()
  #count = 0
  /** Those that are to be closed, in the order of arrival. */
  #refused: Held[] = []
  #late = 0
  /** Begun in this turn without waiting. */
  #begun = 0
  #isTurnWatched = false
  #isOver = false

  /** @param now a clock in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  get count(): number {
    return this.#count
  }

  /** Those that were closed because their turn had not come in time. */
  get late(): number {
    return this.#late
  }

  /** Those that are to be closed and are open yet. */
  get refusedWaiting(): number {
    return this.#refused.length
  }

  /** Lets a connection begin: now, or paused until its turn comes. */
  arrived(connection: NewConnection): void {
    if (this.#isOver) return
    if (!this.#isTurnWatched) this.#watchTurn()
    if (this.#count > 0 || this.#begun >= connectionsBegunPerTurnMax) this.#hold(connection)
    else this.#begun += 1
  }

  /**
   * Closes a connection at the end of a turn. uWebSockets.js accepts until the kernel has no more: clients that were closed
   * meanwhile and connected again at once would keep it at that for ever, and nothing else would be read. Each takes a file
   * descriptor until then, so that only few may wait.
   */
  refuse(connection: NewConnection): void {
    if (this.#refused.length >= connectionsRefusedWaitingMax) {
      connection.close()
      return
    }
    if (!this.#isTurnWatched) this.#watchTurn()
    this.#refused.push(this.#paused(connection))
  }

  /** All of them begin at once, and so do those that come from now on: whoever goes takes in what came before. */
  release(): void {
    this.#isOver = true
    while (this.#count > 0) begin(this.#next())
    for (const held of this.#refused.splice(0)) end(held)
  }

  #hold(connection: NewConnection): void {
    const key = addressKey(new Uint8Array(connection.getRemoteAddress()))
    const held = this.#paused(connection)
    this.#count += 1
    const lane = this.#lanes.get(key)
    if (lane === undefined) this.#lanes.set(key, { waiting: [held], first: 0 })
    else lane.waiting.push(held)
  }

  #paused(connection: NewConnection): Held {
    const held: Held = { connection, sinceMs: this.#now(), isGone: false }
    connection.pause()
    connection.onAborted(() => {
      held.isGone = true
    })
    return held
  }

  #watchTurn(): void {
    this.#isTurnWatched = true
    setImmediate(this.#endTurn)
  }

  /** What begins here is read in the next turn, with what came and began in this one. */
  readonly #endTurn = (): void => {
    this.#isTurnWatched = false
    const nowMs = this.#now()
    let room = connectionsBegunPerTurnMax - this.#begun
    this.#begun = 0
    for (let closed = 0; this.#count > 0 && room > 0 && closed < connectionsClosedPerTurn; ) {
      const held = this.#next()
      if (nowMs - held.sinceMs < connectionHoldMsMax) {
        begin(held)
        room -= 1
      } else {
        end(held)
        this.#late += 1
        closed += 1
      }
    }
    // Few in a turn, so that those who come again at once find it short.
    for (const held of this.#refused.splice(0, connectionsClosedPerTurn)) end(held)
    if (this.#count > 0 || this.#refused.length > 0) this.#watchTurn()
  }

  /** The next one of the address whose turn it is, which then is the last. */
  #next(): Held {
    const [key, lane] = this.#lanes.entries().next().value as [string, Lane]
    const held = lane.waiting[lane.first++] as Held
    this.#count -= 1
    this.#lanes.delete(key)
    if (lane.first < lane.waiting.length) this.#lanes.set(key, shortened(lane))
    return held
  }
}

function begin({ connection, isGone }: Held): void {
  if (!isGone) connection.resume()
}

function end({ connection, isGone }: Held): void {
  if (!isGone) connection.close()
}

/** Moving the rest down costs as much as it is long, so it is done when less is left than has gone. */
function shortened(lane: Lane): Lane {
  if (lane.first * 2 < lane.waiting.length) return lane
  return { waiting: lane.waiting.slice(lane.first), first: 0 }
}

import assert from 'node:assert/strict'

import { Viewer } from '../../bench/board/viewer.ts'
import type { Scope } from './scope.ts'

interface Head {
  readonly type: 'state' | 'tick'
  readonly now: number
  readonly held: number
  readonly sold: number
  readonly holdEndsAt?: number
  readonly holdsPerSecond: number
  readonly purchasesPerSecond: number
  readonly terms?: { readonly sale: number; readonly items: number; readonly closesAtMs: number }
  readonly curve?: readonly number[]
  readonly missingShards?: readonly number[]
}

/** What a page makes of the board's messages. */
export class BoardView {
  readonly heads: Head[] = []
  /** The first item's at 0. */
  states: ('available' | 'held' | 'sold')[] = []
  #viewer: Viewer | undefined
  #isWhole = true

  /** `isWhole: false`: of a sale with more items than are shown. */
  static async open(
    scope: Scope,
    baseUrl: string,
    { isWhole = true, headers = {} }: { isWhole?: boolean; headers?: Record<string, string> } = {},
  ): Promise<BoardView> {
    const view = new BoardView()
    view.#isWhole = isWhole
    view.#viewer = await Viewer.open(`${baseUrl}/board/feed`, (message) => view.#take(message), headers)
    scope.after(() => view.viewer.close())
    return view
  }

  get viewer(): Viewer {
    assert.ok(this.#viewer)
    return this.#viewer
  }

  get last(): Head | undefined {
    return this.heads.at(-1)
  }

  /** As the last whole state had them. */
  get missingShards(): readonly number[] {
    return this.heads.findLast(({ type }) => type === 'state')?.missingShards ?? []
  }

  state(item: number): string | undefined {
    return this.states[item - 1]
  }

  count(type: Head['type']): number {
    return this.heads.filter((head) => head.type === type).length
  }

  #take(message: Buffer): void {
    const end = 4 + message.readUInt32LE(0)
    const head = JSON.parse(message.toString('utf8', 4, end)) as Head
    if (head.type === 'state') this.states = unpacked(message.subarray(end), head.terms?.items ?? 0)
    else this.#apply(message.subarray(end))
    this.heads.push(head)
    if (!this.#isWhole) return
    assert.deepEqual(
      [this.#count('held'), this.#count('sold')],
      [head.held, head.sold],
      'the numbers are of these items',
    )
  }

  #count(state: string): number {
    return this.states.filter((each) => each === state).length
  }

  #apply(payload: Buffer): void {
    let at = -1
    let value = 0
    let shift = 0
    for (const byte of payload) {
      value |= (byte & 127) << shift
      shift += 7
      if (byte > 127) continue
      at += value >> 2
      assert.ok(at < this.states.length)
      this.states[at] = stateNames[value & 3] as 'held'
      value = shift = 0
    }
  }
}

const stateNames = ['available', 'held', 'sold'] as const

function unpacked(payload: Buffer, items: number): ('available' | 'held' | 'sold')[] {
  return Array.from({ length: Math.min(items, payload.length * 4) }, (_, at) => {
    return stateNames[((payload[at >> 2] ?? 0) >> ((at & 3) * 2)) & 3] as 'held'
  })
}

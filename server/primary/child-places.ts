import assert from 'node:assert/strict'

import type { ChildKind } from '../../core/ipc.ts'
import type { Child } from './child.ts'

/**
 * Where a child stands, from its fork to its end:
 *
 *     fork ──► starting ──► ready ──► draining ──► gone
 *                  └───────────────────┘
 *
 * It may be gone from any of them.
 */
export const childPlaces = ['starting', 'ready', 'draining'] as const
export type ChildPlace = (typeof childPlaces)[number]

export type OnMoved = (child: Child, from: ChildPlace | 'forked', to: ChildPlace | 'gone') => void

/** All children, each in one place. There is one way in, one from place to place, and one out, and each is told. */
export class ChildPlaces {
  readonly #sets: Readonly<Record<ChildPlace, Set<Child>>> = {
    starting: new Set(),
    ready: new Set(),
    draining: new Set(),
  }
  readonly #onMoved: OnMoved

  constructor(onMoved: OnMoved) {
    this.#onMoved = onMoved
  }

  add(child: Child): void {
    assert(this.placeOf(child) === undefined, 'a child is forked once')
    this.#sets.starting.add(child)
    this.#onMoved(child, 'forked', 'starting')
  }

  /** false, and nothing happens, when the child does not stand where it is taken from. Its patience begins anew. */
  move(child: Child, from: ChildPlace, to: ChildPlace): boolean {
    if (!this.#sets[from].delete(child)) return false
    child.silentSinceMs = performance.now()
    this.#sets[to].add(child)
    this.#onMoved(child, from, to)
    return true
  }

  /** It has ended. @returns where it stood */
  remove(child: Child): ChildPlace {
    const from = this.placeOf(child)
    assert(from !== undefined, 'a child ends once')
    this.#sets[from].delete(child)
    this.#onMoved(child, from, 'gone')
    return from
  }

  placeOf(child: Child): ChildPlace | undefined {
    return childPlaces.find((place) => this.#sets[place].has(child))
  }

  has(child: Child, place: ChildPlace): boolean {
    return this.#sets[place].has(child)
  }

  /** Those of a kind, or all, that stand in one of the places. A copy: they may move while it is gone through. */
  in(places: readonly ChildPlace[], kind?: ChildKind): Child[] {
    const all = places.flatMap((place) => [...this.#sets[place]])
    return kind === undefined ? all : all.filter((child) => child.kind === kind)
  }

  /** The least number from 1 that no child of the kind has. */
  freeNumber(kind: ChildKind): number {
    const taken = new Set(this.in(childPlaces, kind).map(({ number }) => number))
    let number = 1
    while (taken.has(number)) number++
    return number
  }
}

import { createAvatar } from '@dicebear/core'
import * as shapes from '@dicebear/shapes'

import { picturesKeptMax } from '../../../core/limits.ts'
import { entityTag } from '../http/entity-tag.ts'

export interface Picture {
  readonly svg: string
  readonly tag: string
}

/** Draws a picture from an item's id, the same on every server, and keeps the last ones that were asked for. */
export class ItemPictures {
  readonly #kept = new Map<string, Picture>()

  kept(id: string): Picture | undefined {
    const picture = this.#kept.get(id)
    if (picture !== undefined) this.#keep(id, picture)
    return picture
  }

  /** Takes some 0.1 ms. */
  draw(id: string): Picture {
    const svg = createAvatar(shapes, { seed: id, size: 256 }).toString()
    const picture = { svg, tag: entityTag(svg) }
    this.#keep(id, picture)
    return picture
  }

  /** A Map is in the order of insertion, so the first one is the one that nobody has asked for the longest. */
  #keep(id: string, picture: Picture): void {
    this.#kept.delete(id)
    this.#kept.set(id, picture)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > picturesKeptMax && oldest !== undefined) this.#kept.delete(oldest)
  }
}

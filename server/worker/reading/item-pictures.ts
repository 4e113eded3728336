import type { ItemId } from '../../../core/ids.ts'
import { entityTag } from '../http/entity-tag.ts'
import { LastKept } from '../last-kept.ts'
import { picturesKeptMax } from '../limits.ts'
import { drawItem } from './item-drawing.ts'

export interface Picture {
  readonly svg: string
  readonly tag: string
}

/** Draws a picture from an item's id, the same on every server, and keeps the last ones that were asked for. */
export class ItemPictures {
  readonly #kept = new LastKept<string, Picture>(picturesKeptMax)

  kept(id: string): Picture | undefined {
    const picture = this.#kept.get(id)
    if (picture !== undefined) this.#kept.keep(id, picture) // the one that nobody asks for goes first
    return picture
  }

  draw(id: string, { sale, index }: ItemId): Picture {
    const svg = drawItem(sale, Number(index))
    const picture = { svg, tag: entityTag(svg) }
    this.#kept.keep(id, picture)
    return picture
  }
}

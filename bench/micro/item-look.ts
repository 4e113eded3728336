import { type ItemId, parseItemId } from '../../core/ids.ts'
import { ItemPictures } from '../../server/worker/reading/item-pictures.ts'
import { type Case, over, type Scale, type Subject } from './subject.ts'

const sale = 498_732

function* cases({ smoke }: Scale): Iterable<Case> {
  const indexes = Array.from({ length: smoke ? 4 : 64 }, (_, n) => n + 1)
  const pictures = new ItemPictures()
  const ids = indexes.map((index) => `${sale}-${index}`)
  const draw = (id: string) => pictures.draw(id, parseItemId(id) as ItemId)
  yield {
    name: 'picture',
    operation: 'picture',
    candidates: [
      { name: 'kept', ...over(ids, (id) => pictures.kept(id) ?? draw(id)) },
      { name: 'drawn anew', ...over(ids, draw) },
    ],
  }
}

export const itemLook: Subject = {
  name: 'item-look',
  about: "an item's picture: kept or drawn anew",
  cases,
}

import { animals, colors, uniqueNamesGenerator } from 'unique-names-generator'
import { itemName } from '../../server/worker/reading/item-name.ts'
import { ItemPictures } from '../../server/worker/reading/item-pictures.ts'
import { type Candidate, type Case, over, type Scale, type Subject } from './subject.ts'

const sale = 498_732

function seeded(index: number): string {
  return uniqueNamesGenerator({
    dictionaries: [colors, animals],
    separator: ' ',
    style: 'capital',
    seed: `${sale}-${index}`,
  })
}

/** They give different names, so what is compared is what a name has to be. */
function named(name: string, indexes: readonly number[], nameOf: (index: number) => string): Candidate {
  const isName = (index: number): boolean => /^[A-Z][a-z]/.test(nameOf(index)) && nameOf(index) === nameOf(index)
  return { name, ...over(indexes, nameOf), result: () => indexes.every(isName) }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const indexes = Array.from({ length: smoke ? 16 : 1_024 }, (_, n) => n + 1)
  yield {
    name: 'name',
    operation: 'name',
    candidates: [
      named('itemName', indexes, (index) => itemName(sale, index)),
      named('unique-names-generator, by seed', indexes, seeded),
    ],
  }
  const pictures = new ItemPictures()
  const ids = indexes.slice(0, smoke ? 4 : 64).map((index) => `${sale}-${index}`)
  yield {
    name: 'picture',
    operation: 'picture',
    candidates: [
      { name: 'kept', ...over(ids, (id) => pictures.kept(id) ?? pictures.draw(id)) },
      { name: 'drawn anew', ...over(ids, (id) => pictures.draw(id)) },
    ],
  }
}

export const itemLook: Subject = {
  name: 'item-look',
  about: "an item's name and picture: by arithmetic or by seed, kept or drawn anew",
  cases,
}

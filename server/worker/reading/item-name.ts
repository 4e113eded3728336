import { itemLook } from './item-look.ts'

/** A name for people, the same on every server. */
export function itemName(sale: number, index: number): string {
  const { manner, batter, kind, syrup, topping } = itemLook(sale, index)
  return `${manner} ${batter.word} ${kind.word} with ${syrup.word} and ${topping.word}`
}

import { animals, colors } from 'unique-names-generator'

const manners =
  `agile amiable ancient artful bashful blithe bold brave bright brisk calm candid charming cheerful clever
  courtly curious dapper daring dashing dreamy eager earnest elegant fabled fearless festive friendly gallant gentle
  gleeful graceful happy hearty humble jolly jovial keen kindly lively loyal lucky merry mighty modest musical nimble
  noble patient playful plucky polite proud quiet radiant regal serene shy sleepy sprightly steady sunny swift
  witty`.split(/\s+/)

const nameCount = manners.length * colors.length * animals.length
/** Near nameCount / golden ratio, so that neighbours have nothing in common, and prime, so that no name comes twice. */
const stride = 730_157

/**
 * A name for people, the same on every server: no two items of a sale of up to a million have the same. The words are
 * unique-names-generator's, the choice is not: by a text as seed it has 91 names for 10,000 items, because it adds the
 * characters up. Its adjectives are left out, as not all of them are kind.
 */
export function itemName(sale: number, index: number): string {
  const place = ((((sale % nameCount) + index) % nameCount) * stride) % nameCount
  const manner = manners[place % manners.length] ?? ''
  const rest = Math.floor(place / manners.length)
  const color = colors[rest % colors.length] ?? ''
  const animal = animals[Math.floor(rest / colors.length)] ?? ''
  return [manner, color, animal].map(capitalised).join(' ')
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

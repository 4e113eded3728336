import { purchasesPerPageDefault, purchasesPerPageMax } from '../../../core/limits.ts'
import { type Cursor, parseCursor } from './cursor.ts'

export interface PurchasesQuery {
  readonly after: Cursor | undefined
  readonly limit: number
}

/** What is wrong with a request, in a sentence for whoever sent it. */
export class MalformedQuery extends Error {}

/** @throws MalformedQuery. Unknown parameters too: a reader that has misspelt its cursor would begin at the beginning. */
export function parsePurchasesQuery(query: string): PurchasesQuery {
  const values = new URLSearchParams(query)
  for (const name of values.keys()) {
    if (name !== 'after' && name !== 'limit') {
      throw new MalformedQuery('There is no such parameter: after and limit are all there are.')
    }
    if (values.getAll(name).length > 1) throw new MalformedQuery(`The parameter ${name} is given more than once.`)
  }
  return { after: cursorIn(values.get('after')), limit: limitIn(values.get('limit')) }
}

function cursorIn(text: string | null): Cursor | undefined {
  if (text === null) return undefined
  const cursor = parseCursor(text)
  if (cursor !== undefined) return cursor
  throw new MalformedQuery('The parameter after must be a cursor as it was answered, whole and unchanged.')
}

function limitIn(text: string | null): number {
  if (text === null) return purchasesPerPageDefault
  const limit = Number(text)
  if (/^[1-9]\d{0,8}$/.test(text) && limit <= purchasesPerPageMax) return limit
  throw new MalformedQuery(`The parameter limit must be a whole number from 1 to ${purchasesPerPageMax}.`)
}

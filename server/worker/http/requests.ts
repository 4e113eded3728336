import {
  type HoldCode,
  type ItemId,
  isUserId,
  nonceLength,
  parseCode,
  parseItemId,
  userIdForm,
} from '../../../core/ids.ts'
import { queryLengthMax } from '../limits.ts'
import { percentDecoded } from './percent-encoding.ts'
import { problemReply } from './problems.ts'
import type { Reply } from './replies.ts'

/** What can be wrong with a request, and the detail that tells the client what is allowed. Never holds what was sent. */
const itemIdForm = 'the id of an item, <sale>-<number>, as GET /sale names the first and the last'
const codeForm = `a code that a checkout answered, <sale>-<number>-<${nonceLength} characters>`

const malformedDetails = {
  body: 'The request has a body or a Transfer-Encoding; parameters go into the query string.',
  query_length: `The query string is longer than ${queryLengthMax} characters.`,
  user_id_missing: `The parameter user_id is missing: ${userIdForm}.`,
  user_id_repeated: 'The parameter user_id is given more than once.',
  user_id_malformed: `The parameter user_id must be ${userIdForm}.`,
  id_missing: `The parameter id is missing: ${itemIdForm}.`,
  id_repeated: 'The parameter id is given more than once; item_id is another name for it.',
  id_malformed: `The parameter id must be ${itemIdForm}.`,
  code_missing: `The parameter code is missing: ${codeForm}.`,
  code_repeated: 'The parameter code is given more than once.',
  code_malformed: `The parameter code must be ${codeForm}.`,
} as const

export type Malformed = keyof typeof malformedDetails

export const malformedReplies = Object.fromEntries(
  Object.entries(malformedDetails).map(([malformed, detail]) => [
    malformed,
    problemReply('invalid_request', { detail }),
  ]),
) as Readonly<Record<Malformed, Reply>>

/** The end of the `name=value` pair that starts at `at`. */
function pairEnd(query: string, at: number): number {
  const end = query.indexOf('&', at)
  return end < 0 ? query.length : end
}

/** Escapes: percent-encoding, and the plus that forms send for a space. */
function hasEscapes(query: string): boolean {
  return query.includes('%') || query.includes('+')
}

function decode(text: string): string {
  return percentDecoded(text.replaceAll('+', ' '))
}

/**
 * The query decoded into one without escapes that means the same to the readers below. A decoded value may hold '&':
 * no parameter of ours accepts one, so it is replaced by something that none accepts either.
 */
function withoutEscapes(query: string): string {
  const pairs = query.split('&').map((pair) => {
    const equals = pair.indexOf('=')
    if (equals < 0) return decode(pair).replaceAll(/[&=]/g, '\0')
    return `${decode(pair.slice(0, equals)).replaceAll(/[&=]/g, '\0')}=${decode(pair.slice(equals + 1)).replaceAll('&', '\0')}`
  })
  return pairs.join('&')
}

/**
 * Reads the parameters out of query strings, as they came over the wire. One reader is reused for all requests: after
 * `checkout` or `purchase` answered `undefined` its fields hold the result, until the next call. Parameters with other
 * names are ignored.
 */
export class RequestReader {
  user = ''
  item: ItemId = { sale: 0, index: '' }
  code: HoldCode = { sale: 0, index: '', nonce: '' }

  /**
   * user_id and id (or item_id, but not both): sets `user` and `item`, or says what is wrong.
   * @param userDefault where user_id may be left out
   */
  checkout(raw: string, userDefault?: string): Malformed | undefined {
    if (raw.length > queryLengthMax) return 'query_length'
    const query = hasEscapes(raw) ? withoutEscapes(raw) : raw
    let user: string | undefined
    let id: string | undefined
    for (let at = 0, end = 0; at < query.length; at = end + 1) {
      end = pairEnd(query, at)
      if (query.startsWith('user_id=', at)) {
        if (user !== undefined) return 'user_id_repeated'
        user = query.slice(at + 8, end)
      } else if (query.startsWith('id=', at)) {
        if (id !== undefined) return 'id_repeated'
        id = query.slice(at + 3, end)
      } else if (query.startsWith('item_id=', at)) {
        if (id !== undefined) return 'id_repeated'
        id = query.slice(at + 8, end)
      }
    }
    user ??= userDefault
    if (user === undefined) return 'user_id_missing'
    if (id === undefined) return 'id_missing'
    if (!isUserId(user)) return 'user_id_malformed'
    const item = parseItemId(id)
    if (item === undefined) return 'id_malformed'
    this.user = user
    this.item = item
    return undefined
  }

  /** Of a release too. Sets `code`, or says what is wrong. */
  purchase(raw: string): Malformed | undefined {
    if (raw.length > queryLengthMax) return 'query_length'
    const query = hasEscapes(raw) ? withoutEscapes(raw) : raw
    let text: string | undefined
    for (let at = 0, end = 0; at < query.length; at = end + 1) {
      end = pairEnd(query, at)
      if (!query.startsWith('code=', at)) continue
      if (text !== undefined) return 'code_repeated'
      text = query.slice(at + 5, end)
    }
    if (text === undefined) return 'code_missing'
    const code = parseCode(text)
    if (code === undefined) return 'code_malformed'
    this.code = code
    return undefined
  }
}

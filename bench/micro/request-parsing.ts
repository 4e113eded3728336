import { parse } from 'node:querystring'
import { formatCode, formatItemId, type HoldCode, isUserId, parseCode, parseItemId } from '../../core/ids.ts'
import { RequestReader } from '../../server/worker/http/requests.ts'
import { received, sampleCommands } from './sample-sale.ts'
import { type Case, over, type Scale, type Subject } from './subject.ts'

// uWebSockets.js' own getQuery(name) is no candidate: it only works on a request that came over a socket, takes the
// first of repeated parameters without a word, and each call goes through C++ again. The handler of bench:floor uses it.

interface Checkout {
  readonly user: string
  readonly sale: number
  readonly index: string
}

type Parser = (query: string) => Checkout | undefined

function readCheckout(reader: RequestReader, query: string): Checkout | undefined {
  if (reader.checkout(query) !== undefined) return undefined
  return { user: reader.user, sale: reader.item.sale, index: reader.item.index }
}

/** The rules for the values are the same for all: what is compared is how the values are found. */
function checkoutOf(user: string | null | undefined, id: string | null | undefined): Checkout | undefined {
  if (!user || !id || !isUserId(user)) return undefined
  const item = parseItemId(id)
  return item && { user, sale: item.sale, index: item.index }
}

function viaSearchParams(query: string): Checkout | undefined {
  const parameters = new URLSearchParams(query)
  const [user, ...users] = parameters.getAll('user_id')
  const [id, ...ids] = [...parameters.getAll('id'), ...parameters.getAll('item_id')]
  return users.length + ids.length > 0 ? undefined : checkoutOf(user, id)
}

function viaQuerystring(query: string): Checkout | undefined {
  const { user_id: user, id, item_id: itemId } = parse(query)
  const one = id ?? itemId
  if ((id !== undefined && itemId !== undefined) || typeof user !== 'string' || typeof one !== 'string')
    return undefined
  return checkoutOf(user, one)
}

const userPattern = /(?:^|&)user_id=([^&]*)/g
const idPattern = /(?:^|&)(?:item_)?id=([^&]*)/g

function viaPatterns(query: string): Checkout | undefined {
  const [user, ...users] = [...query.matchAll(userPattern)]
  const [id, ...ids] = [...query.matchAll(idPattern)]
  if (user === undefined || id === undefined || users.length + ids.length > 0) return undefined
  return checkoutOf(decodeURIComponent(user[1] as string), decodeURIComponent(id[1] as string))
}

function checkouts(name: string, queries: readonly string[]): Case {
  const reader = new RequestReader()
  const parsers: Record<string, Parser> = {
    RequestReader: (query) => readCheckout(reader, query),
    URLSearchParams: viaSearchParams,
    'node:querystring': viaQuerystring,
    'regular expressions': viaPatterns,
  }
  const candidates = Object.entries(parsers).map(([parser, parseQuery]) => ({
    name: parser,
    ...over(queries, parseQuery),
  }))
  return { name, operation: 'request', candidates }
}

function codeViaSearchParams(query: string): HoldCode | undefined {
  const [code, ...more] = new URLSearchParams(query).getAll('code')
  return code === undefined || more.length > 0 ? undefined : parseCode(code)
}

function purchases(codes: readonly string[]): Case {
  const queries = codes.map((code) => received(`code=${code}`))
  const reader = new RequestReader()
  const viaReader = (query: string) => (reader.purchase(query) === undefined ? reader.code : undefined)
  const candidates = [
    { name: 'RequestReader', ...over(queries, viaReader) },
    { name: 'URLSearchParams', ...over(queries, codeViaSearchParams) },
  ]
  return { name: 'purchase', operation: 'request', candidates }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const commands = sampleCommands(smoke ? 16 : 1_024)
  const queries = commands.map(({ user, sale, index }) => received(`user_id=${user}&id=${formatItemId(sale, index)}`))
  yield checkouts('checkout', queries)
  yield checkouts(
    'checkout, escaped',
    queries.map((query) => received(query.replaceAll('-', '%2D'))),
  )
  // Rejections have to be as cheap: what is malformed must not cost more than what is sold.
  yield checkouts(
    'checkout, malformed',
    queries.map((query) => received(`${query}&id=1-1`)),
  )
  yield purchases(commands.map(({ sale, index, nonce }) => formatCode(sale, index, nonce)))
}

export const requestParsing: Subject = {
  name: 'request-parsing',
  about: 'query string -> checked parameters: ours, URLSearchParams, node:querystring, regular expressions',
  cases,
}

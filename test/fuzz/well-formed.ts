import type { SeededRandom } from '../../bench/harness/seeded-random.ts'

/** A request as text, one character a byte, and what its answer may be. */
export interface Drawn {
  readonly kind: string
  readonly text: string
  /** answer: one, with one of `statuses`. refusal: a 4xx, 505, or a closed connection. anything: of several requests, or none. */
  readonly expects: 'answer' | 'refusal' | 'anything'
  readonly statuses: readonly number[]
  /** Its answer has no body. */
  readonly isHead?: boolean
}

type Line = readonly [method: string, target: string, statuses: readonly number[]]

/** So few that they meet, and with so few digits that none mutates into an item of the honest client. */
const itemsMax = 99
const users = 40
const nonceChars = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-'

const harmlessHeaders = [
  'Accept: */*',
  'accept-encoding: gzip, br',
  'User-Agent: fuzz/1.0 (a client; "of" sorts)',
  'Cookie: a=b; c=d',
  'X-Forwarded-For: 10.0.0.1',
  'Content-Type: application/json',
  'Connection: keep-alive',
  'Content-Length: 0',
  'Referer: https://shop.example/?q=%20',
  'X-Empty:',
  'If-None-Match: W/"\'; drop table purchases; --"',
]

const lines: readonly ((random: SeededRandom, sale: number) => Line)[] = [
  (random, sale) => ['POST', checkoutTarget(random, sale), [200, 409]],
  (random, sale) => ['POST', checkoutTarget(random, sale), [200, 409]],
  (random, sale) => ['POST', `/purchase?code=${sale}-${item(random)}-${nonce(random)}`, [404]],
  (random, sale) => ['POST', `/release?code=${sale}-${item(random)}-${nonce(random)}`, [404]],
  () => ['GET', '/sale', [200]],
  () => ['HEAD', '/sale', [200]],
  (random, sale) => ['GET', `/items/${sale}-${item(random)}`, [200]],
  (random, sale) => ['GET', `/items/${sale}-${item(random)}/picture.svg`, [200]],
  (random) => ['GET', `/items?limit=${random.between(1, 9)}`, [200]],
  (random) => ['GET', `/users/u${random.below(users)}/purchases`, [200]],
  (random, sale) => ['GET', `/purchases/${sale}-${item(random)}-${nonce(random)}`, [404]],
  (_, sale) => ['GET', `/sales/${sale}`, [200]],
  () => ['GET', '/livez', [200]],
  () => ['OPTIONS', '/checkout', [204]],
  () => ['DELETE', '/sale', [405]],
  () => ['GET', '/purchase', [405]],
  () => ['PUT', '/release', [405]],
  () => ['GET', '/there/is/nothing', [404]],
]

export function drawWellFormed(random: SeededRandom, sale: number): Drawn {
  const [method, target, statuses] = random.pick(lines)(random, sale)
  const text = requestText(random, method, target)
  return { kind: 'well-formed', text, expects: 'answer', statuses, isHead: method === 'HEAD' }
}

/** With harmless headers, none of them twice: two Content-Lengths would be refused. */
export function requestText(random: SeededRandom, method: string, target: string): string {
  const headers = harmlessHeaders.filter(() => random.chance(0.2))
  const host = random.pick(['Host: shop.example', 'host: [::1]:8080', 'HOST: x'])
  return [`${method} ${target} HTTP/1.1`, host, ...headers, '', ''].join('\r\n')
}

function checkoutTarget(random: SeededRandom, sale: number): string {
  const [user, id] = [`user_id=u${random.below(users)}`, `id=${sale}-${item(random)}`]
  return `/checkout?${random.chance(0.5) ? `${user}&${id}` : `${id}&other=1&${user}`}`
}

export function item(random: SeededRandom): number {
  return random.between(1, itemsMax)
}

export function nonce(random: SeededRandom): string {
  return Array.from({ length: 16 }, () => nonceChars.charAt(random.below(nonceChars.length))).join('')
}

import type { SeededRandom } from '../../bench/harness/seeded-random.ts'
import { type Drawn, item, nonce, requestText } from './well-formed.ts'

/** Values that have broken something somewhere, as they come over the wire. */
const poisons = [
  '%00',
  '%0d%0aSET%20x%20y',
  '%0a',
  '%1b%5b2J',
  '%ff%fe',
  '%c0%af',
  '%ed%a0%80',
  '%',
  '%zz',
  '%u0041',
  '%2',
  '+',
  '%7Bhotcakes:0%7D:sales',
  '..%2f..%2fetc%2fpasswd',
  "'%3b drop table purchases%3b --".replaceAll(' ', '+'),
  '%24(id)',
  '%E2%80%AE',
  '%F0%9F%A5%9E',
  '%D9%A1',
  '__proto__',
  'constructor',
  'NaN',
  '-1',
  '0x10',
  '1e9',
  '00',
  '9'.repeat(15),
  '9'.repeat(400),
  '2147483648',
  '18446744073709551616',
  '1.5',
  '\xff\xfe',
  '\xc3\x28',
  'null',
  '%22%5c',
  '%3Cscript%3E',
] as const

const queries: readonly ((random: SeededRandom, sale: number) => string)[] = [
  (random, sale) => `/checkout?user_id=${random.pick(poisons)}&id=${sale}-${item(random)}`,
  (random) => `/checkout?user_id=u&id=${random.pick(poisons)}`,
  (random, sale) => `/checkout?user_id=u&id=${sale}-${random.pick(poisons)}`,
  (random, sale) => `/checkout?user_id=u${random.pick(poisons)}&item_id=${random.pick(poisons)}-${sale}`,
  (random, sale) => `/checkout?user_id=a&user_id=b&id=${sale}-${item(random)}`,
  (random, sale) => `/checkout?user_id=a&id=${sale}-${item(random)}&item_id=${sale}-${item(random)}`,
  (random, sale) => `/purchase?code=${sale}-${random.pick(poisons)}-${nonce(random)}`,
  (random, sale) => `/purchase?code=${sale}-${item(random)}-${random.pick(poisons)}`,
  (random) => `/purchase?${random.pick(poisons)}=${random.pick(poisons)}&code=${random.pick(poisons)}`,
  (random, sale) => `/purchase?code=${sale}-1-${nonce(random)}&code=${sale}-2-${nonce(random)}`,
  (random) => `/${random.pick(poisons)}`,
  (random) => `/checkout?${'&=?#'.repeat(random.between(1, 300))}`,
  (random) => `/checkout?user_id=${'u'.repeat(random.between(256, 2_500))}&id=1-1`,
]

const reads: readonly ((random: SeededRandom, sale: number) => string)[] = [
  (random) => `/items/${random.pick(poisons)}`,
  (random, sale) => `/items/${sale}-${random.pick(poisons)}/picture.svg`,
  (random, sale) => `/items?sale=${sale}&state=${random.pick(poisons)}&after=${random.pick(poisons)}`,
  (random) => `/items?limit=${random.pick(poisons)}`,
  (random) => `/sales/${random.pick(poisons)}`,
  (random) => `/sales?after=${random.pick(poisons)}&limit=${random.pick(poisons)}`,
  (random) => `/users/${random.pick(poisons)}/purchases`,
  (random) => `/users/u1/purchases?after=${random.pick(poisons)}-${random.pick(poisons)}`,
  (random, sale) => `/purchases/${sale}-${random.pick(poisons)}-${nonce(random)}`,
]

/** Well-formed HTTP with something in its parameters that no parameter may be. A few of the poisons are allowed user ids. */
export function drawPoisoned(random: SeededRandom, sale: number): Drawn {
  const isRead = random.chance(0.3)
  const target = random.pick(isRead ? reads : queries)(random, sale)
  const usual = isRead ? 'GET' : 'POST'
  const method = random.chance(0.9) ? usual : random.pick(['BREW', 'M-SEARCH', 'PROPFIND', 'post', 'G!T', 'TRACE'])
  const statuses = [200, 400, 404, 405, 409, 410]
  return { kind: 'poisoned', text: requestText(random, method, target), expects: 'answer', statuses }
}

const host = 'Host: fuzz\r\n'
const post = (rest: string) => `POST /checkout?user_id=smuggler&id=1-1 HTTP/1.1\r\n${host}${rest}`
const get = (rest: string) => `GET /livez HTTP/1.1\r\n${host}${rest}`

/** What is no HTTP/1.1, or not one request of it without a body. */
const refused: Readonly<Record<string, (random: SeededRandom) => string>> = {
  'a body': (random) => post(`Content-Length: ${random.between(1, 99)}\r\n\r\n${get('\r\n')}`),
  'a huge body': () => post(`Content-Length: 99999999\r\n\r\n${'x'.repeat(60_000)}`),
  'two lengths': () => post(`Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello`),
  'an absurd length': (random) =>
    post(`Content-Length: ${random.pick(['-1', '+0', '0x5', '1e1', '9'.repeat(40)])}\r\n\r\n`),
  chunked: () => post(`Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`),
  'chunked and a length': () => post(`Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  'an absurd chunk': () => post(`Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\n`),
  'a folded header': () => get('A: b\r\n c\r\n\r\n'),
  'a space before the colon': () => get('A : b\r\n\r\n'),
  'a header without a colon': () => get('nothing\r\n\r\n'),
  'a control character in a header': (random) => get(`A: x${String.fromCharCode(random.below(9))}y\r\n\r\n`),
  'a bare CR': () => get('A: b\rC: d\r\n\r\n'),
  'lines that end with LF': () => 'GET /livez HTTP/1.1\nHost: fuzz\n\n',
  'no Host': () => 'GET /livez HTTP/1.1\r\nAccept: */*\r\n\r\n',
  'no header at all': () => 'GET /livez HTTP/1.1\r\n\r\n',
  'another version': (random) =>
    `GET /livez HTTP/${random.pick(['0.9', '1.0', '1.2', '2.0', '11', 'x'])}\r\n${host}\r\n`,
  'a control character in the target': (random) =>
    `GET /livez?${String.fromCharCode(random.below(32))} HTTP/1.1\r\n${host}\r\n`,
  'a space in the target': () => `GET /livez ?a HTTP/1.1\r\n${host}\r\n`,
  'an absolute target': () => `GET http://fuzz/livez HTTP/1.1\r\n${host}\r\n`,
  CONNECT: () => `CONNECT fuzz:443 HTTP/1.1\r\n${host}\r\n`,
  'the asterisk': () => `OPTIONS * HTTP/1.1\r\n${host}\r\n`,
  'a huge header': (random) => get(`A: ${'x'.repeat(random.between(5_000, 60_000))}\r\n\r\n`),
  'many headers': (random) => get(`${'A: b\r\n'.repeat(random.between(101, 3_000))}\r\n`),
  'a huge target': (random) => `GET /livez?${'x'.repeat(random.between(5_000, 60_000))} HTTP/1.1\r\n${host}\r\n`,
  'HTTP/2': () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0',
  TLS: () => '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
  'another protocol': (random) =>
    random.pick(['SSH-2.0-OpenSSH_9\r\n', 'EHLO fuzz\r\n', '*1\r\n$4\r\nPING\r\n', '\0\0\0\x08\x04\xd2\x16\x2f']),
}

export function drawRefused(random: SeededRandom): Drawn {
  const [kind, text] = random.pick(Object.entries(refused))
  return { kind, text: text(random), expects: 'refusal', statuses: [] }
}

/** Several requests at once, or a connection that becomes something else. */
const mixed: Readonly<Record<string, (random: SeededRandom) => string>> = {
  'pipelined and answered at once': (random) => get('\r\n').repeat(random.between(2, 20)),
  'pipelined and not answered yet': (random) => post('\r\n').repeat(random.between(2, 20)),
  'empty lines first': (random) => `${'\r\n'.repeat(random.between(1, 5))}${get('\r\n')}`,
  'an empty length before another': () => post(`Content-Length:\r\nContent-Length: 5\r\n\r\nhello`),
  'the PROXY protocol': () => `\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\x01\x0a\0\0\x01\x0f\xa0\x1f\x90${get('\r\n')}`,
  'an upgrade to nothing': () => get('Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n'),
  'frames that are none': (random) =>
    `GET /board/feed HTTP/1.1\r\n${host}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n${noise(random, 200)}`,
}

export function drawMixed(random: SeededRandom): Drawn {
  const [kind, text] = random.pick(Object.entries(mixed))
  return { kind, text: text(random), expects: 'anything', statuses: [] }
}

export function drawNoise(random: SeededRandom): Drawn {
  return { kind: 'noise', text: noise(random, 3_000), expects: 'anything', statuses: [] }
}

function noise(random: SeededRandom, lengthMax: number): string {
  return Array.from({ length: random.between(1, lengthMax) }, () => String.fromCharCode(random.below(256))).join('')
}

import { formatCode, type HoldCode, parseCode } from '../../core/ids.ts'
import { received, sampleCommands } from './sample-sale.ts'
import { type Case, over, type Scale, type Subject } from './subject.ts'

const pattern = /^(0|[1-9]\d{0,14})-(0|[1-9]\d{0,14})-([\w-]{16})$/

function viaPattern(text: string): HoldCode | undefined {
  const match = pattern.exec(text)
  return match === null ? undefined : { sale: Number(match[1]), index: match[2] as string, nonce: match[3] as string }
}

const number = /^(0|[1-9]\d{0,14})$/
const nonceChars = /^[\w-]{16}$/

function viaSplit(text: string): HoldCode | undefined {
  // A nonce may hold dashes itself.
  const [sale = '', index = '', ...nonceParts] = text.split('-')
  const nonce = nonceParts.join('-')
  return number.test(sale) && number.test(index) && nonceChars.test(nonce)
    ? { sale: Number(sale), index, nonce }
    : undefined
}

function codes(name: string, texts: readonly string[]): Case {
  const parsers = { parseCode, 'one regular expression': viaPattern, 'split and check': viaSplit }
  const candidates = Object.entries(parsers).map(([parser, parse]) => ({ name: parser, ...over(texts, parse) }))
  return { name, operation: 'code', candidates }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const texts = sampleCommands(smoke ? 16 : 1_024).map(({ sale, index, nonce }) =>
    received(formatCode(sale, index, nonce)),
  )
  yield codes('well-formed', texts)
  const damages = [
    (text: string) => text.slice(1),
    (text: string) => `0${text}`,
    (text: string) => text.slice(0, -1),
    (text: string) => `${text.slice(0, -1)}+`,
    (text: string) => text.replace('-', '_'),
    () => '',
  ]
  yield codes(
    'malformed',
    texts.map((text, n) => received((damages[n % damages.length] as (text: string) => string)(text))),
  )
}

export const codeParse: Subject = {
  name: 'code-parse',
  about: "a code's text -> sale, item, nonce: parseCode, a regular expression, split",
  cases,
}

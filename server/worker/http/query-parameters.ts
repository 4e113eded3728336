import { pageRowsDefault, pageRowsMax, queryLengthMax } from '../limits.ts'
import { problemReply } from './problems.ts'
import type { Reply } from './replies.ts'

/**
 * The optional parameters of a request that reads. Each method returns `undefined` for one that is not given; when one is
 * malformed or given twice, `malformed` is the answer to the request. Parameters with other names are ignored.
 */
export class QueryParameters {
  #malformed: Reply | undefined
  readonly #values: URLSearchParams

  constructor(query: string) {
    const isTooLong = query.length > queryLengthMax
    if (isTooLong) this.#fail(`The query string is longer than ${queryLengthMax} characters.`)
    this.#values = new URLSearchParams(isTooLong ? '' : query)
  }

  get malformed(): Reply | undefined {
    return this.#malformed
  }

  integer(name: string, { min = 0, max }: { min?: number; max: number }): number | undefined {
    const text = this.#one(name)
    if (text === undefined) return undefined
    const value = parseInteger(text)
    if (value !== undefined && value >= min && value <= max) return value
    return this.#fail(`The parameter ${name} must be a whole number from ${min} to ${max}.`)
  }

  oneOf<Value extends string>(name: string, values: readonly Value[]): Value | undefined {
    const text = this.#one(name)
    if (text === undefined) return undefined
    const value = values.find((one) => one === text)
    return value ?? this.#fail(`The parameter ${name} must be one of: ${values.join(', ')}.`)
  }

  /** @param form what is allowed, for people: `the id of an item` */
  parsed<Value>(name: string, form: string, parse: (text: string) => Value | undefined): Value | undefined {
    const text = this.#one(name)
    if (text === undefined) return undefined
    return parse(text) ?? this.#fail(`The parameter ${name} must be ${form}.`)
  }

  /** How many rows a page may have. */
  limit(): number {
    return this.integer('limit', { min: 1, max: pageRowsMax }) ?? pageRowsDefault
  }

  #one(name: string): string | undefined {
    const [value, ...others] = this.#values.getAll(name)
    return others.length === 0 ? value : this.#fail(`The parameter ${name} is given more than once.`)
  }

  #fail(detail: string): undefined {
    this.#malformed ??= problemReply('invalid_request', { detail })
  }
}

/** Largest number that ids, indexes and pages have: 15 digits, exact in a double and in a Postgres bigint. */
export const idMax = 999_999_999_999_999

/** Decimal, without sign or leading zeros, at most 15 digits. */
export function parseInteger(text: string): number | undefined {
  return /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined
}

/** The path with those of the parameters that are not `undefined`. Values must need no escapes. */
export function pathWith(path: string, parameters: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return `${path}?${given.map(([name, value]) => `${name}=${value}`).join('&')}`
}

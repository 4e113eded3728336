import { Counter, Gauge, type Registry } from 'prom-client'

import type { KeysFacts } from './token-keys.ts'

/** What came of a request's token. `shed`: too many signatures were to be checked. `keys_away`: none could be. */
const results = [
  'remembered',
  'verified',
  'shed',
  'keys_away',
  'missing',
  'scheme',
  'repeated',
  'malformed',
  'algorithm',
  'key_unknown',
  'no_expiry',
  'expired',
  'not_yet',
  'issuer',
  'audience',
  'signature',
  'no_buyer',
] as const
export type TokenResult = (typeof results)[number]

/** Counted in a flat object, because a labelled counter costs a microsecond for each request. */
export class TokenMetrics {
  readonly #counts = Object.fromEntries(results.map((result) => [result, 0])) as Record<TokenResult, number>

  constructor(registry: Registry, gauges: { readonly remembered: () => number; readonly keys: () => KeysFacts }) {
    this.#publish(registry)
    registry.registerMetric(
      gaugeOf('hotcakes_tokens_remembered', 'Verified tokens that are remembered until they expire.', {
        value: gauges.remembered,
        aggregator: 'sum',
      }),
    )
    registry.registerMetric(
      gaugeOf('hotcakes_token_keys', 'Keys that tokens are checked with (APP_BUYERS=signed).', {
        value: () => gauges.keys().keys,
        aggregator: 'min',
      }),
    )
    registry.registerMetric(
      gaugeOf('hotcakes_token_keys_age_seconds', 'Since when the source of these keys was last seen to have them.', {
        value: () => gauges.keys().age_seconds,
        aggregator: 'max',
      }),
    )
  }

  count(result: TokenResult): void {
    this.#counts[result] += 1
  }

  #publish(registry: Registry): void {
    const counts = this.#counts
    registry.registerMetric(
      new Counter({
        name: 'hotcakes_tokens_total',
        help: 'Requests that need a token (APP_BUYERS=signed), by what came of it.',
        labelNames: ['result'] as const,
        registers: [],
        collect() {
          this.reset()
          for (const result of results) this.inc({ result }, counts[result])
        },
      }),
    )
  }
}

function gaugeOf(
  name: string,
  help: string,
  { value, aggregator }: { value: () => number; aggregator: 'sum' | 'min' | 'max' },
): Gauge {
  return new Gauge({
    name,
    help,
    aggregator,
    registers: [],
    collect() {
      this.set(value())
    },
  })
}

import { graph, stat } from '../panels.ts'
import { of, rate } from '../queries.ts'
import type { Row } from './row.ts'

/** Empty with APP_BUYERS=open: there are no such metrics then. */
export const buyers: Row = {
  id: 57,
  title: 'Signed buyers',
  panels: [
    graph({
      id: 58,
      title: 'Tokens',
      about:
        'What came of the tokens of requests that need one (APP_BUYERS=signed). docs/BUYERS.md has what each means.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: { '{{result}}': `sum by (result) (${rate('hotcakes_tokens_total')}) > 0` },
      stacked: 40,
    }),
    graph({
      id: 59,
      title: 'Tokens that do not count',
      about: 'Answered 401, 403 or 503. shed: too many new signatures to check; keys_away: no key to check one with.',
      unit: 'reqps',
      width: 8,
      height: 7,
      queries: {
        '{{result}}': `sum by (result) (${rate('hotcakes_tokens_total', 'result!~"remembered|verified"')}) > 0`,
      },
    }),
    graph({
      id: 62,
      title: 'Tokens remembered',
      about:
        'Verified ones, until they expire. In front of a full worker each further token is verified again and again.',
      unit: 'short',
      width: 8,
      height: 7,
      queries: { remembered: `sum(${of('hotcakes_tokens_remembered')})` },
    }),
    graph({
      id: 60,
      title: 'Age of the keys',
      about:
        'Since the source of the keys was last seen to have them. After 15 minutes the server is degraded; after a day it takes no token.',
      unit: 's',
      width: 16,
      height: 6,
      queries: { '{{instance}}': `max by (instance) (${of('hotcakes_token_keys_age_seconds')})` },
    }),
    stat({
      id: 61,
      title: 'Keys',
      about: 'With which tokens are checked, at the worker that has the fewest.',
      unit: 'short',
      width: 8,
      height: 6,
      query: `min(${of('hotcakes_token_keys')})`,
      steps: [
        ['red', null],
        ['green', 1],
      ],
    }),
  ],
}

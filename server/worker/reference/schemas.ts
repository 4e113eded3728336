import { auditVerdicts } from '../../../core/audit-verdict.ts'
import { idDigitsMax, nonceLength, userIdChars, userIdLengthMax } from '../../../core/ids.ts'
import { problemCodes } from '../http/problems.ts'
import { boardCurvePointsMax, retryAfterSecondsMax, retryAfterSecondsMin } from '../limits.ts'

const integer = (description: string, minimum = 0) => ({ type: 'integer', minimum, description })
const time = (description: string) => ({
  type: 'string',
  format: 'date-time',
  description,
  examples: ['2026-11-23T12:05:02.511Z'],
})

/** An object that has exactly these members, all of them; the optional ones may be absent. */
function record(properties: Readonly<Record<string, object>>, optional: Readonly<Record<string, object>> = {}): object {
  const required = Object.keys(properties)
  return { type: 'object', required, properties: { ...properties, ...optional }, additionalProperties: false }
}

const number = `(0|[1-9][0-9]{0,${idDigitsMax - 1}})`

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

const check = { type: 'object', required: ['status'], properties: { status: { type: 'string' } } }

/** A check that says which fault it is, where there is one. */
function faultCheck(statuses: readonly string[], description: string) {
  const fault = { type: 'string', description: 'Code of the fault: docs/ERRORS.md.' }
  const reason = {
    type: 'string',
    description: 'For people; without values, and absent where only the log may say it.',
  }
  return { ...check, description, properties: { status: { enum: statuses }, fault, reason } }
}

const postgresCheck = faultCheck(
  ['up', 'away', 'refused', 'locked', 'unknown'],
  'As the persister finds it. away: no answer; refused: it takes no rows, and waiting will not help; locked: another session keeps them out.',
)
const logCheck = faultCheck(
  ['ok', 'fault', 'backlog_full', 'memory_full', 'unknown'],
  'fault: entries are missing in it or can not be read, so nothing behind them gets into Postgres.',
)

const workersCheck = {
  type: 'object',
  required: ['status'],
  properties: {
    status: {
      enum: ['complete', 'missing', 'not_ready', 'silent', 'unknown'],
      description:
        'missing: a worker is starting or being replaced, and takes no connections; not_ready, silent: one takes connections and does not sell, or does not answer; unknown: the primary did not answer in time.',
    },
    ready: integer('Workers that take connections and sell.', 0),
    of: integer('Workers that there should be.', 0),
  },
}

const recordDaysCheck = {
  type: 'object',
  required: ['status', 'days', 'days_max'],
  description: 'Only with APP_RECORD_DAYS. No status of the server follows from it.',
  properties: {
    status: {
      enum: ['within', 'over'],
      description: 'over: the record has older days than it should; nothing removes them by itself.',
    },
    days: integer('How many days ago the oldest day is that has attempts on record.'),
    days_max: integer('APP_RECORD_DAYS.', 1),
  },
}

const replicasCheck = {
  type: 'object',
  required: ['status'],
  description: 'Only with APP_ACK=replica.',
  properties: {
    status: {
      enum: ['complete', 'none', 'behind', 'unknown'],
      description: 'none: there are none, and answers leave at once; behind: the last answers were not confirmed.',
    },
    awaited: integer('Replicas that answers wait for.'),
  },
}

const keysCheck = {
  type: 'object',
  required: ['status', 'keys', 'age_seconds'],
  description: 'Only with APP_BUYERS=signed.',
  properties: {
    status: {
      enum: ['fresh', 'stale', 'expired'],
      description:
        'stale: where the keys come from is away, and they still count; expired: for so long that no token is taken.',
    },
    keys: integer('Keys that tokens are checked with.'),
    age_seconds: integer('Since when they were last seen there.'),
  },
}

const shardsCheck = {
  type: 'object',
  required: ['status', 'ready', 'of', 'each'],
  description: 'Where sales are spread over several shards. The other checks are those of the shard that is worst off.',
  properties: {
    status: {
      enum: ['complete', 'missing', 'none'],
      description:
        'missing: what belongs to some shards is not sold at the moment, the rest is; none: nothing is sold.',
    },
    ready: integer('Shards that sell.'),
    of: integer('All shards.', 2),
    missing: {
      type: 'array',
      minItems: 1,
      items: integer('Number of a shard.'),
      description: 'Those that do not sell. Absent when each does.',
    },
    each: {
      type: 'array',
      items: {
        type: 'object',
        required: ['shard', 'status', 'redis', 'record', 'postgres', 'log', 'sale'],
        properties: {
          shard: integer('Its number.'),
          status: { enum: ['ready', 'degraded', 'not_ready'] },
          redis: check,
          record: check,
          postgres: postgresCheck,
          log: logCheck,
          sale: check,
          replicas: replicasCheck,
        },
      },
    },
  },
}

const missingShards = {
  type: 'array',
  minItems: 1,
  items: integer('Number of a shard.'),
  description:
    'Shards that could not be asked: what they have is not in the answer, but in the number of items. Absent when all is there.',
}

const nextPage = { type: ['string', 'null'], description: 'Path of the next page; null after the last.' }

const saleTerms = {
  id: ref('SaleId'),
  state: { enum: ['upcoming', 'open', 'closed'] },
  opens_at: time('When it opens.'),
  closes_at: time('When it closes.'),
  items: integer('How many items it has.', 1),
  user_limit: integer('Live holds and purchases together that one user may have.', 1),
  hold_seconds: { type: 'number', exclusiveMinimum: 0, description: 'How long a checkout holds its item.' },
}

export const schemas = {
  SaleId: integer('Seconds since 1970 at which the sale opened, divided by the seconds between sales.'),
  ItemId: {
    type: 'string',
    pattern: `^${number}-${number}$`,
    description: 'Sale and number of an item. Never used again for another item.',
    examples: ['498732-1'],
  },
  HoldCode: {
    type: 'string',
    pattern: `^${number}-${number}-[A-Za-z0-9_-]{${nonceLength}}$`,
    description:
      'What a checkout answers, and what a purchase or a release takes. Whoever has it can purchase: keep it secret.',
    examples: ['498732-1-Zk3vQ0mX9a_bTr2L'],
  },
  UserId: {
    type: 'string',
    pattern: `^${userIdChars}{1,${userIdLengthMax}}$`,
    description: 'Whoever buys. It is taken as it comes: who may use it is for what stands in front of this server.',
    examples: ['me'],
  },
  Problem: {
    type: 'object',
    description: 'RFC 9457. Branch on `code`; `title` and `detail` are for people and may change.',
    required: ['type', 'title', 'status', 'code', 'detail', 'doc_url'],
    properties: {
      type: { type: 'string', format: 'uri', pattern: '^urn:hotcakes:problem:[a-z_]+$' },
      title: { type: 'string' },
      status: { type: 'integer', minimum: 400, maximum: 599 },
      code: { enum: problemCodes },
      detail: { type: 'string' },
      doc_url: {
        type: 'string',
        format: 'uri-reference',
        pattern: '^/docs/errors#[a-z_]+$',
        description: 'Where this server says what the code means, and what to do. Relative to the URI of the request.',
      },
    },
  },
  Hold: record({
    code: ref('HoldCode'),
    item_id: ref('ItemId'),
    sale_id: ref('SaleId'),
    expires_at: time('When the hold ends.'),
  }),
  Purchase: record({
    status: { const: 'purchased' },
    item_id: ref('ItemId'),
    sale_id: ref('SaleId'),
    user_id: ref('UserId'),
    purchased_at: time('When it was decided; the same for each repetition.'),
  }),
  Release: record({
    status: { const: 'released' },
    item_id: ref('ItemId'),
    sale_id: ref('SaleId'),
    user_id: ref('UserId'),
  }),
  Sale: record(
    {
      id: ref('SaleId'),
      opens_at: time('When it opens.'),
      closes_at: time('When it closes and the next one opens. Its holds can be purchased until they expire.'),
      items: integer('How many items it has.', 1),
      held: integer('Items that are held at the moment; may lag by a second.'),
      sold: integer('Items that are sold.'),
      available: integer('Items that are neither held nor sold; of the shards that could be asked.'),
      user_limit: integer('Live holds and purchases together that one user may have.', 1),
      hold_seconds: { type: 'number', exclusiveMinimum: 0, description: 'How long a checkout holds its item.' },
      first_item_id: ref('ItemId'),
      last_item_id: ref('ItemId'),
    },
    { missing_shards: missingShards },
  ),
  Item: record({
    id: ref('ItemId'),
    sale_id: ref('SaleId'),
    index: integer('Its number in the sale.', 1),
    name: { type: 'string', minLength: 1 },
    picture: { type: 'string', description: 'Path of its picture.', pattern: '^/items/[0-9-]+/picture[.]svg$' },
    state: { enum: ['available', 'held', 'sold'] },
    hold_expires_at: { ...time('When its hold ends, unless it is purchased until then.'), type: ['string', 'null'] },
  }),
  ItemPage: record(
    { sale_id: ref('SaleId'), items: { type: 'array', items: ref('Item') }, next: nextPage },
    { missing_shards: missingShards },
  ),
  SaleTerms: record(saleTerms),
  SalePage: record({ sales: { type: 'array', items: ref('SaleTerms') }, next: nextPage }),
  SaleRecord: record({
    ...saleTerms,
    attempts: integer('Decided checkouts, purchases and releases, accepted or not.'),
    holds: integer('Checkouts that got an item.'),
    releases: integer('Holds that were given back.'),
    purchases: integer('Items that were sold.'),
    repeats: integer('Attempts that were answered as the first time.'),
    rejections: {
      type: 'object',
      description: 'Code of the problem -> attempts that were answered with it.',
      propertyNames: { enum: problemCodes },
      additionalProperties: { type: 'integer', minimum: 1 },
    },
    sold_out_at: { ...time('When the last item was sold.'), type: ['string', 'null'] },
    audit: {
      description: 'The last audit that looked at it.',
      anyOf: [
        { type: 'null' },
        record({
          verdict: { enum: auditVerdicts },
          at: time('When it began.'),
          position: { type: 'string', description: 'How far Postgres had the log.' },
        }),
      ],
    },
  }),
  SaleCurve: record({
    sale_id: ref('SaleId'),
    points: {
      type: 'array',
      maxItems: boardCurvePointsMax,
      items: record({ at: time('A moment.'), sold: integer('Items that had been purchased by then.', 1) }),
    },
  }),
  PurchasePage: record({
    user_id: ref('UserId'),
    purchases: {
      type: 'array',
      items: record({ item_id: ref('ItemId'), sale_id: ref('SaleId'), purchased_at: time('When it was decided.') }),
    },
    next: nextPage,
  }),
  Live: record({ status: { const: 'live' } }),
  Readiness: record({
    status: {
      enum: ['ready', 'degraded', 'not_ready'],
      description:
        'degraded: it sells, and the record waits in Redis, or a worker, a shard or its replicas are missing.',
    },
    checks: {
      ...record(
        {
          server: check,
          redis: check,
          record: check,
          postgres: postgresCheck,
          log: logCheck,
          sale: check,
          workers: workersCheck,
        },
        { shards: shardsCheck, replicas: replicasCheck, record_days: recordDaysCheck, keys: keysCheck },
      ),
      description: 'What it was judged by, each with a `status` in words: of the worker that is worst off.',
    },
  }),
} as const

export const securitySchemes = {
  buyer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A token of the buyer, or of a backend that may act for any.',
  },
} as const

export const decisionPattern = '^([1-9][0-9]*:)?[1-9][0-9]*-[1-9][0-9]*-(0|[1-9][0-9]*)$'

/** Of answers of a server that asks for tokens. */
export const signedHeaders = {
  Challenge: {
    description: 'What was wrong with the token (RFC 6750): never the token itself.',
    required: true,
    schema: { type: 'string', pattern: '^Bearer realm="hotcakes"' },
  },
} as const

export const headers = {
  Decision: {
    description:
      'Place of the decision in the log, `<epoch>-<entry>-<n>`: the order in which all attempts were decided. Ordered by its three numbers. Every shard has a log of its own; but for the first one, `<shard>:` stands before the place.',
    schema: { type: 'string', pattern: decisionPattern },
    example: '1-4711-3',
  },
  RetryAfter: {
    description: `Seconds to wait before the same request again. After a 503 between ${retryAfterSecondsMin} and ${retryAfterSecondsMax}, varying, so that a crowd does not come back together.`,
    schema: { type: 'integer', minimum: 1 },
  },
  Lag: {
    description:
      'Seconds: everything that was decided longer ago is in the answer. 0 where it comes from Redis; absent while that is not known.',
    schema: { type: 'number', minimum: 0 },
  },
  Position: {
    description:
      'Place in the log, `<epoch>-<entry>`, up to which everything is in the answer. With several shards a list, one of each: but for the first one, `<shard>:` stands before the place.',
    schema: { type: 'string', pattern: '^[0-9]+-[0-9]+(, [1-9][0-9]*:[0-9]+-[0-9]+)*$' },
  },
  ETag: { description: 'For If-None-Match.', required: true, schema: { type: 'string' } },
  RateLimit: {
    description: 'What the address or buyer has left (draft-ietf-httpapi-ratelimit-headers).',
    schema: { type: 'string' },
  },
  RateLimitPolicy: {
    description: 'How many requests an address or a buyer may send (draft-ietf-httpapi-ratelimit-headers).',
    schema: { type: 'string' },
  },
} as const

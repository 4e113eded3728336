import { formatItemId } from '../../../core/ids.ts'
import type { ProblemCode } from '../http/problems.ts'
import { idMax } from '../http/query-parameters.ts'
import { pageRowsDefault, pageRowsMax, recordWaitMsMax } from '../limits.ts'
import { buyersTerms, json, pathParameter, queryParameter, ref } from './parts.ts'
import { problemResponses } from './problem-responses.ts'
import { decisionPattern } from './schemas.ts'

const turnedAway = ['rate_limited', 'overloaded', 'unavailable', 'shutting_down'] as const satisfies ProblemCode[]
const recordsAway = [...turnedAway, 'records_unavailable'] as const
const stale = { 'Hotcakes-Lag': ref('headers', 'Lag'), 'Hotcakes-Position': ref('headers', 'Position') }

const limit = queryParameter(
  'limit',
  { type: 'integer', minimum: 1, maximum: pageRowsMax, default: pageRowsDefault },
  'How many a page may have.',
)
const number = { type: 'integer', minimum: 0, maximum: idMax }

/** For what lags behind a purchase. */
const readYourWrites = [
  queryParameter(
    'wait',
    { type: 'integer', minimum: 0, maximum: recordWaitMsMax, default: 0 },
    'Milliseconds that the answer may wait until the record has all that was decided when the request came, or the `decision`. ' +
      'Not reached in time, or a place that the log has not come to: 503 `record_behind`.',
  ),
  queryParameter(
    'decision',
    { type: 'string', pattern: decisionPattern, examples: ['1-4711-3'] },
    'What `Hotcakes-Decision` said of an attempt: the record has to have come that far. Without `wait` it is not waited for.',
  ),
]

const ifNoneMatch = {
  name: 'If-None-Match',
  in: 'header',
  description: 'The `ETag` of the picture that the client has.',
  schema: { type: 'string' },
}

/** What people see of the items. @param sale whose items the examples name */
export function itemPaths(sale: number): Record<string, object> {
  const id = pathParameter('id', 'ItemId', 'The item.', formatItemId(sale, 1))
  return {
    '/items': {
      get: {
        operationId: 'items',
        tags: ['Items'],
        summary: 'The items of a sale, in their order',
        description:
          'With a state asked for, a page looks at a bounded number of items: it may be short, and `next` leads on. It is empty ' +
          'only if 10,000 were looked at, or `GET /sale` counts no item in that state.',
        parameters: [
          queryParameter('sale', number, 'Whose items; otherwise the current sale.'),
          queryParameter('state', { enum: ['available', 'held', 'sold'] }, 'Only items in this state; otherwise all.'),
          queryParameter('after', number, 'Number of the item that the page comes after.'),
          limit,
        ],
        responses: {
          200: json('ItemPage', 'A page of items.'),
          ...problemResponses(['invalid_request', 'sale_unknown', ...turnedAway, 'recovering']),
        },
      },
    },
    '/items/{id}': {
      get: {
        operationId: 'item',
        tags: ['Items'],
        summary: 'One item',
        description: 'Of any sale that Redis still has. It says neither who holds nor who has bought it.',
        parameters: [id],
        responses: {
          200: json('Item', 'The item as it is now.'),
          ...problemResponses(['invalid_request', 'sale_unknown', 'item_unknown', ...turnedAway, 'recovering']),
        },
      },
    },
    '/items/{id}/picture.svg': {
      get: {
        operationId: 'itemPicture',
        tags: ['Items'],
        summary: 'The picture of an item',
        description: 'The same at every server and for ever: it is drawn out of the id.',
        parameters: [id, ifNoneMatch],
        responses: {
          200: {
            description: 'The picture.',
            headers: { ETag: ref('headers', 'ETag') },
            content: { 'image/svg+xml': { schema: { type: 'string' } } },
          },
          304: { description: 'It is the one that the client has.', headers: { ETag: ref('headers', 'ETag') } },
          ...problemResponses(['invalid_request', 'rate_limited', 'overloaded', 'shutting_down']),
        },
      },
    },
  }
}

/**
 * What is on record.
 * @param sale that the examples name
 * @param isSigned what a buyer has purchased needs a token
 */
export function recordPaths(sale: number, isSigned: boolean): Record<string, object> {
  return { ...salesPaths(sale), ...purchasesPaths(isSigned) }
}

function salesPaths(sale: number): Record<string, object> {
  return {
    '/sales': {
      get: {
        operationId: 'sales',
        tags: ['Records'],
        summary: 'The sales there have been, newest first',
        description: 'The terms of each; `GET /sales/{id}` counts what became of one.',
        parameters: [queryParameter('after', number, 'Id of the sale that the page comes after.'), limit],
        responses: {
          200: json('SalePage', 'A page of sales.', stale),
          ...problemResponses(['invalid_request', ...recordsAway]),
        },
      },
    },
    '/sales/{id}': {
      get: {
        operationId: 'saleRecord',
        tags: ['Records'],
        summary: 'What became of a sale',
        description:
          'Counts come out of Redis as long as it has the sale, later out of Postgres. When it was sold out, and the verdict of the ' +
          'last audit, come out of Postgres.',
        parameters: [pathParameter('id', 'SaleId', 'The sale.', sale)],
        responses: {
          200: json('SaleRecord', 'The sale with its counts.', stale),
          ...problemResponses(['invalid_request', 'sale_unknown', ...recordsAway]),
        },
      },
    },
    ...curvePath(sale),
  }
}

function purchasesPaths(isSigned: boolean): Record<string, object> {
  const { security, codes } = buyersTerms(isSigned)
  const mismatch = isSigned ? (['buyer_mismatch'] as const) : []
  return {
    '/users/{user_id}/purchases': {
      get: {
        operationId: 'purchasesOfUser',
        tags: ['Records'],
        ...security,
        summary: 'What a user has purchased, newest sale first',
        description:
          'The codes are not in it. It may lag behind a purchase by a fraction of a second: with `wait` or `decision` it has it, or says ' +
          'that it has not.',
        parameters: [
          pathParameter('user_id', 'UserId', 'Whose purchases.', 'me'),
          queryParameter('after', 'ItemId', 'The item that the page comes after.'),
          limit,
          ...readYourWrites,
        ],
        responses: {
          200: json('PurchasePage', 'A page of purchases.', stale),
          ...problemResponses(['invalid_request', ...recordsAway, 'record_behind', ...codes, ...mismatch]),
        },
      },
    },
    '/purchases/{code}': {
      get: {
        operationId: 'purchaseByCode',
        tags: ['Records'],
        ...security,
        summary: 'The purchase that was made with a code',
        description:
          'The same body again that the purchase was answered with. The code is the secret that opens it. One that is found is ' +
          'answered at once; `wait` and `decision` are for one that is not.',
        parameters: [pathParameter('code', 'HoldCode', 'The code that the purchase was made with.'), ...readYourWrites],
        responses: {
          200: json('Purchase', 'The answer that the purchase had.', stale),
          ...problemResponses(['invalid_request', 'purchase_unknown', ...recordsAway, 'record_behind', ...codes]),
        },
      },
    },
  }
}

function curvePath(sale: number): Record<string, object> {
  return {
    '/sales/{id}/curve': {
      get: {
        operationId: 'saleCurve',
        tags: ['Records'],
        summary: 'When the items of a sale were purchased',
        description:
          'At most 256 points between the first purchase and the last. Of an open sale it is some seconds old.',
        parameters: [pathParameter('id', 'SaleId', 'The sale.', sale)],
        responses: {
          200: json('SaleCurve', 'The curve of its purchases.', stale),
          ...problemResponses(['invalid_request', 'sale_unknown', ...recordsAway]),
        },
      },
    },
  }
}

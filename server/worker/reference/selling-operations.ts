import { buyersTerms, json, queryParameter, ref } from './parts.ts'
import { problemResponses } from './problem-responses.ts'

const decided = { 'Hotcakes-Decision': ref('headers', 'Decision') }
const retry = { 'Retry-After': ref('headers', 'RetryAfter') }
/** What any operation of a buyer can be answered when it was not looked at, or when nobody knows what came of it. */
const turnedAway = ['rate_limited', 'overloaded', 'unavailable', 'shutting_down'] as const
const notDecided = [...turnedAway, 'backlog_full', 'recovering'] as const

type Terms = ReturnType<typeof buyersTerms>

function purchasePath({ security, codes }: Terms): object {
  return {
    post: {
      operationId: 'purchase',
      tags: ['Selling'],
      ...security,
      summary: 'Purchase the item that a code holds',
      description: 'Repeating it is safe: the same code is answered with the same purchase.',
      parameters: [queryParameter('code', 'HoldCode', 'What the checkout answered.', { required: true })],
      responses: {
        200: json('Purchase', 'The item is purchased, or was already with this code.', decided),
        ...problemResponses(
          ['invalid_request', 'code_of_another', 'code_unknown', 'code_expired', ...notDecided, 'unrecorded', ...codes],
          { 403: decided, 404: decided, 410: decided },
        ),
      },
    },
  }
}

function releasePath({ security, codes }: Terms): object {
  return {
    post: {
      operationId: 'release',
      tags: ['Selling'],
      ...security,
      summary: 'Give the hold of a code back',
      description:
        'The item is on sale again and the slot of its user free, in one step. Possible as long as the code can be purchased. Repeating it is safe: the same code is answered the same until somebody holds the item again; then it is unknown. It never ends another hold of the item.',
      parameters: [queryParameter('code', 'HoldCode', 'What the checkout answered.', { required: true })],
      responses: {
        200: json('Release', 'The hold is given back, or was already with this code.', decided),
        ...problemResponses(
          [
            'invalid_request',
            'code_of_another',
            'code_unknown',
            'item_purchased',
            'code_expired',
            ...notDecided,
            'unrecorded',
            ...codes,
          ],
          { 403: decided, 404: decided, 409: decided, 410: decided },
        ),
      },
    },
  }
}

/**
 * What buyers do: the operations that are decided, each attempt on record.
 * @param itemId an item that can be had
 * @param isSigned they need a token
 */
export function sellingPaths(itemId: string, isSigned: boolean): Record<string, object> {
  const terms = buyersTerms(isSigned)
  const { security, codes } = terms
  return {
    '/checkout': {
      post: {
        operationId: 'checkout',
        tags: ['Selling'],
        ...security,
        summary: 'Hold an item for a short time',
        description:
          'The first rule that applies decides: no such item; its sale is over or not open yet; it is sold; this user holds it (the same code again); somebody else holds it; the user has as many as one user may; otherwise it is held. Repeating it is safe.',
        parameters: [
          queryParameter(
            'user_id',
            'UserId',
            isSigned ? 'Whoever buys; otherwise the buyer of the token.' : 'Whoever buys.',
            {
              required: !isSigned,
              example: 'me',
            },
          ),
          queryParameter('id', 'ItemId', 'The item. `item_id` is another name of this parameter.', {
            required: true,
            example: itemId,
          }),
        ],
        responses: {
          200: json('Hold', 'The item is held, or was already held by this user.', decided),
          ...problemResponses(
            [
              'invalid_request',
              'item_unknown',
              'sale_not_open',
              'item_sold',
              'item_held',
              'user_limit_reached',
              'sale_closed',
              ...notDecided,
              'unrecorded',
              ...codes,
              ...(isSigned ? (['buyer_mismatch'] as const) : []),
            ],
            { 404: decided, 409: { ...decided, ...retry }, 410: decided },
          ),
        },
      },
    },
    '/purchase': purchasePath(terms),
    '/release': releasePath(terms),
    '/sale': {
      get: {
        operationId: 'currentSale',
        tags: ['Selling'],
        summary: 'The current sale',
        description: 'Its times and limits, and how many of its items are held, sold and available at the moment.',
        responses: {
          200: json('Sale', 'The sale that is open now.'),
          ...problemResponses(['invalid_request', ...turnedAway, 'recovering']),
        },
      },
    },
  }
}

export const healthPaths = {
  '/readyz': {
    get: {
      operationId: 'readiness',
      tags: ['Operating'],
      summary: 'Whether this server sells',
      description:
        'Speaks for all workers, whichever answers: 200 means that each that takes connections sold at a moment after the request came in. It may take up to three seconds when one of them hangs.',
      responses: {
        200: json('Readiness', 'It sells.'),
        ...problemResponses(['invalid_request']),
        503: json('Readiness', 'It does not sell.', retry),
      },
    },
  },
  '/health': {
    get: {
      operationId: 'health',
      tags: ['Operating'],
      summary: 'The same as /readyz',
      description: 'For what asks for this name.',
      responses: {
        200: json('Readiness', 'It sells.'),
        ...problemResponses(['invalid_request']),
        503: json('Readiness', 'It does not sell.', retry),
      },
    },
  },
  '/livez': {
    get: {
      operationId: 'liveness',
      tags: ['Operating'],
      summary: 'Whether this process answers',
      description:
        'Nothing else is looked at: a process that does not answer is to be restarted, one that does not sell is not.',
      responses: { 200: json('Live', 'It does.'), ...problemResponses(['invalid_request']) },
    },
  },
} as const

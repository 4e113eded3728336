import { problemMembers } from '../problem-members.ts'

/**
 * The catalogue of problems (RFC 9457) that GET /purchases answers on the operators' port; those that the API has too have
 * its codes. docs/ERRORS.md documents every code; a test holds the two together.
 */
const catalogue = {
  invalid_request: { status: 400, title: 'The request is malformed', detail: 'The request is malformed.' },
  method_not_allowed: {
    status: 405,
    title: 'The resource does not have this method',
    detail: 'The header Allow names the methods that the resource has.',
  },
  not_acceptable: {
    status: 406,
    title: 'The resource has no such format',
    detail: 'The header Accept must allow application/json or application/x-ndjson.',
  },
  cursor_foreign: {
    status: 409,
    title: 'The cursor is of another record',
    detail:
      'The cursor was given for the record of another database. Without after the reader begins at the beginning.',
  },
  record_rewound: {
    status: 409,
    title: 'The record lacks what the cursor has passed',
    detail:
      'Postgres lacks purchases that the reader was given: it is an older copy. docs/RECOVERY.md says what to do.',
  },
  overloaded: {
    status: 503,
    title: 'Too many requests are waiting',
    detail: 'Too many readers are served; this request was not looked at. Retrying is safe.',
  },
  records_unavailable: {
    status: 503,
    title: 'The records cannot be read',
    detail: 'Postgres did not answer in time. Selling goes on without it. Retrying is safe.',
  },
} as const satisfies Record<string, { status: number; title: string; detail: string }>

export type PurchasesProblemCode = keyof typeof catalogue
export const purchasesProblemCodes = Object.keys(catalogue) as PurchasesProblemCode[]

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: PurchasesProblemCode
  readonly detail: string
}

/** @param detail instead of the catalogue's */
export function purchasesProblem(code: PurchasesProblemCode, detail?: string): Problem {
  return problemMembers(code, catalogue[code], detail)
}

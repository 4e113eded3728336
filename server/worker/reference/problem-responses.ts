import { type ProblemCode, problemBody, problemFacts } from '../http/problems.ts'

type Json = Readonly<Record<string, unknown>>

const headerOf = (name: string): Json => ({ $ref: `#/components/headers/${name}` })

/** The headers that come with a status beside those of the answer itself; optional where only some of its codes have them. */
const headersByStatus: Readonly<Record<number, Json>> = {
  401: { 'WWW-Authenticate': headerOf('Challenge') },
  429: {
    'Retry-After': headerOf('RetryAfter'),
    RateLimit: headerOf('RateLimit'),
    'RateLimit-Policy': headerOf('RateLimitPolicy'),
  },
  503: { 'Retry-After': headerOf('RetryAfter') },
}

/**
 * The responses of an operation that are problems: one a status, with the codes that it can have there and an example of
 * each. Out of the catalogue of the API, so that they can't differ from what is answered.
 * @param headers further ones by status
 */
export function problemResponses(codes: readonly ProblemCode[], headers: Readonly<Record<number, Json>> = {}): Json {
  const statuses = [...new Set(codes.map((code) => problemFacts(code).status))].toSorted((a, b) => a - b)
  return Object.fromEntries(
    statuses.map((status) => {
      const here = codes.filter((code) => problemFacts(code).status === status)
      const response = {
        description: here.map((code) => `\`${code}\`: ${problemFacts(code).title}.`).join('\n\n'),
        ...withHeaders({ ...headersByStatus[status], ...headers[status] }),
        content: {
          'application/problem+json': {
            schema: {
              allOf: [{ $ref: '#/components/schemas/Problem' }],
              properties: { status: { const: status }, code: { enum: here } },
            },
            examples: Object.fromEntries(here.map((code) => [code, { value: problemBody(code) }])),
          },
        },
      }
      return [String(status), response]
    }),
  )
}

function withHeaders(headers: Json): Json {
  return Object.keys(headers).length === 0 ? {} : { headers }
}

import { formatItemId } from '../../../core/ids.ts'
import { itemPaths, recordPaths } from './reading-operations.ts'
import { headers, schemas, securitySchemes, signedHeaders } from './schemas.ts'
import { healthPaths, sellingPaths } from './selling-operations.ts'

export interface DocumentFacts {
  readonly version: string
  /** The sale whose items the examples name. */
  readonly sale: number
  /** Of this server as a client on the same machine reaches it, for the examples. */
  readonly baseUrl: string
  /** APP_BUYERS=signed. */
  readonly isSigned: boolean
}

/** The description of the API, OpenAPI 3.1. `GET /openapi.json` is this text, and a test drives every operation by it. */
export function openApiDocument({ version, sale, baseUrl, isSigned }: DocumentFacts): string {
  const itemId = formatItemId(sale, 1)
  return JSON.stringify({
    openapi: '3.1.1',
    info: {
      title: 'hotcakes',
      version,
      summary: 'A flash-sale server',
      description: `${introduction({ itemId, baseUrl, isSigned })}${isSigned ? signedNote : ''}`,
      license,
    },
    servers: [{ url: '/', description: 'The server that this description comes from' }],
    tags: [
      { name: 'Selling', description: 'Every attempt is decided once, in one order, and goes on record.' },
      { name: 'Items', description: 'What there is to buy. Nobody sees who has it.' },
      {
        name: 'Records',
        description:
          'Out of Postgres, and out of Redis what has not got there yet. `Hotcakes-Lag` says how old an answer may be.',
      },
      { name: 'Operating', description: 'For load balancers and process supervisors.' },
    ],
    paths: {
      ...sellingPaths(itemId, isSigned),
      ...itemPaths(sale),
      ...recordPaths(sale, isSigned),
      ...healthPaths,
    },
    // Nobody is asked who they are, but where an operation says so itself.
    security: [],
    components: isSigned
      ? { schemas, headers: { ...headers, ...signedHeaders }, securitySchemes }
      : { schemas, headers },
  })
}

const license = { name: 'MIT', identifier: 'MIT' }

const signedNote = `

This server asks who the buyer is: checkout, purchase and what a buyer has purchased need \`Authorization: Bearer\` with a token
(JWT). \`user_id\` may be left out; it is the token's.`

function introduction({ itemId, baseUrl, isSigned }: { itemId: string; baseUrl: string; isSigned: boolean }): string {
  const header = isSigned ? ` -H "Authorization: Bearer $TOKEN"` : ''
  const user = isSigned ? '' : 'user_id=me&'
  return `Every hour a sale opens. A **checkout** holds an item for a short time and answers a code; with the code the item is
**purchased**. Parameters go into the query string, and no request has a body.

\`\`\`sh
code=$(curl -s -X POST${header} '${baseUrl}/checkout?${user}id=${itemId}' | sed 's/.*"code":"\\([^"]*\\)".*/\\1/')
curl -s -X POST${header} "${baseUrl}/purchase?code=$code"
\`\`\`

Errors are \`application/problem+json\` (RFC 9457) with a stable \`code\`. Checkout, purchase and release are idempotent, so a 503 may always be
retried, after its \`Retry-After\`. Every resource also answers \`OPTIONS\`, and \`HEAD\` where it answers \`GET\`; another method is
answered 405, another path 404 (\`route_unknown\`). Pages of other origins may read the answers, errors included, where the
server's \`APP_ALLOWED_ORIGINS\` names them (CORS, without credentials).`
}

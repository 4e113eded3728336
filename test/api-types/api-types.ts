import openapiTypes, { type OpenAPI3 } from 'openapi-typescript'

import { openApiDocument } from '../../server/worker/reference/document.ts'

/** Below the project's root. */
export const apiTypesFile = 'examples/hotcakes-api.d.ts'

/** The API's description as TypeScript. Of a server with signed buyers, which has all that the other one has. */
export async function apiTypes(): Promise<string> {
  const facts = { version: '', sale: 1, baseUrl: '', isSigned: true }
  const document = JSON.parse(openApiDocument(facts)) as OpenAPI3
  return await openapiTypes(document, { commentHeader: header, immutableTypes: true })
}

const header = `/**
 * The API of hotcakes, out of its GET /openapi.json. Written anew by: node ops/setup/run.mjs test/api-types/make.js
 */

`

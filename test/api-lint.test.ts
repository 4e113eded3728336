// Goal: the description of the API reads as one by the rules that its readers' tools have, for a server that asks for tokens and for
// one that doesn't.
// Method: all rules of two linters. Those that are switched off have their reason here; every example is held against its schema.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createConfig, lintFromString } from '@redocly/openapi-core'
import spectralCore, { type RulesetDefinition } from '@stoplight/spectral-core'
import spectralRulesets from '@stoplight/spectral-rulesets'

import { openApiDocument } from '../server/worker/reference/document.ts'

const { Spectral } = spectralCore
const oas = spectralRulesets.oas as unknown as RulesetDefinition // its declaration and that of the core differ

/** Of Spectral's. */
const spectralOff = {
  // Whoever runs the shop is the one to ask, and a server doesn't know them.
  'info-contact': 'off',
  // The licence has its SPDX identifier, and OpenAPI 3.1 forbids a URL beside one.
  'license-url': 'off',
  // They stand in the order in which a reader needs them: buying comes first.
  'openapi-tags-alphabetical': 'off',
} as const

function documentOf(isSigned: boolean): string {
  return openApiDocument({ version: '0.0.0', sale: 7, baseUrl: 'http://localhost:8080', isSigned })
}

async function spectralFinds(text: string): Promise<string[]> {
  const spectral = new Spectral()
  spectral.setRuleset({ extends: [[oas, 'all']], rules: spectralOff })
  const found = await spectral.run(JSON.parse(text) as Record<string, unknown>)
  return found.map(({ code, path, message }) => `${code}: ${path.join('.')}: ${message}`)
}

async function redoclyFinds(text: string): Promise<string[]> {
  const rules = {
    'no-invalid-parameter-examples': 'error',
    'no-invalid-schema-examples': 'error',
    'operation-singular-tag': 'error',
    'operation-description': 'error',
    'parameter-description': 'error',
    'tag-description': 'error',
  } as const
  const config = await createConfig({ extends: ['recommended-strict'], rules })
  const found = await lintFromString({ source: text, config, absoluteRef: '/openapi.json' })
  return found.map(({ ruleId, location, message }) => `${ruleId}: ${location[0]?.pointer}: ${message}`)
}

for (const isSigned of [false, true]) {
  const which = isSigned ? 'of a server that asks for tokens' : 'of a server that asks nobody'

  test(`no linter has anything to say of the description ${which}`, async () => {
    const text = documentOf(isSigned)
    assert.deepEqual(await spectralFinds(text), [])
    assert.deepEqual(await redoclyFinds(text), [])
  })

  test(`the description ${which} names a token where it is asked for`, () => {
    const { security, paths } = JSON.parse(documentOf(isSigned)) as {
      security: object[]
      paths: Record<string, Record<string, { operationId: string; security?: object[] }>>
    }
    assert.deepEqual(security, [])
    const asking = Object.values(paths)
      .flatMap((methods) => Object.values(methods))
      .filter((operation) => operation.security !== undefined)
    const ids = asking.map(({ operationId }) => operationId)
    const ofBuyers = ['checkout', 'purchase', 'release', 'purchasesOfUser', 'purchaseByCode']
    assert.deepEqual(ids, isSigned ? ofBuyers : [])
    for (const operation of asking) assert.deepEqual(operation.security, [{ buyer: [] }])
  })
}

test('the linters find what is planted', async () => {
  const planted = JSON.parse(documentOf(true)) as {
    paths: Record<
      string,
      Record<string, { parameters: { example: unknown; description?: string }[]; security: object[] }>
    >
  }
  const checkout = planted.paths['/checkout']?.['post']
  const [user, item] = checkout?.parameters ?? []
  assert.ok(checkout !== undefined && user !== undefined && item !== undefined)
  item.example = 'no item'
  delete user.description
  checkout.security = [{ nobody: [] }]
  const text = JSON.stringify(planted)
  const found = [...(await spectralFinds(text)), ...(await redoclyFinds(text))].map((finding) => finding.split(':')[0])
  assert.deepEqual(
    new Set(found),
    new Set([
      'oas3-operation-security-defined',
      'oas3-parameter-description',
      'oas3-valid-media-example',
      'no-invalid-parameter-examples',
      'parameter-description',
      'security-defined',
    ]),
  )
})

// Goal: whoever wants to see signed buyers has a token and the settings in one command, and a server takes it.

import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { decodeJwt } from 'jose'

import { describedApi } from './helpers/api-description.ts'
import { eventually } from './helpers/eventually.ts'
import { startHttpWorker } from './helpers/http-worker.ts'
import { currentSale } from './helpers/items.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { startRedis } from './helpers/services.ts'
import { runTool } from './helpers/tool.ts'

const program = fileURLToPath(new URL('../ops/tools/token/main.js', import.meta.url))
const redis = await startRedis({ after })

const authorized = (text: string) => ({ Authorization: `Bearer ${text}` })

function settingsIn(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(APP_\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]))
}

test('a server with the settings that it prints takes its token; every answer is as the server describes it', async (t) => {
  const env = { APP_DATA_DIR: temporaryFolder(t) }
  const made = await runTool(program, env, ['--user', 'jane+sale@example.com'])
  assert.equal(made.status, 0, made.stderr)
  const token = made.stdout.trim()
  const settings = settingsIn(made.stderr)
  assert.deepEqual(Object.keys(settings), ['APP_BUYERS', 'APP_JWT_KEYS', 'APP_JWT_ISSUER', 'APP_JWT_AUDIENCE'])
  const backend = { APP_JWT_BACKEND_SCOPE: 'shop:backend', APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
  const { http, ...worker } = await startHttpWorker(t, redis, { env: { ...settings, ...backend } })
  const path = `/checkout?id=${await currentSale({ http })}-1`
  assert.ok(worker.port)
  const api = await describedApi(http)
  const held = await api.send(http, 'POST', path, authorized(token))
  assert.equal(held.status, 200, held.text)
  assert.equal((await api.send(http, 'POST', `${path}&user_id=bob`, authorized(token))).status, 403)
  assert.equal((await api.send(http, 'POST', path)).status, 401)
  assert.equal((await api.send(http, 'GET', '/users/bob/purchases', authorized(token))).status, 403)
  await eventually(async () => (await api.send(http, 'GET', '/readyz')).status === 200, { what: 'ready' })
  const document = api.document as unknown as { components: { securitySchemes?: object } }
  assert.ok(document.components.securitySchemes)

  // The same key serves on.
  const service = await runTool(program, env, ['--scope', 'openid shop:backend', '--minutes', '5'])
  const reply = await api.send(http, 'POST', `${path}&user_id=bob`, authorized(service.stdout.trim()))
  assert.deepEqual([reply.status, reply.json?.['code']], [409, 'item_held'])
  assert.ok((decodeJwt(service.stdout.trim()).exp ?? 0) <= Date.now() / 1_000 + 300)
})

test('its key is private and made once, also when two begin at a time', async (t) => {
  const dataDir = temporaryFolder(t)
  const runs = await Promise.all([1, 2].map(() => runTool(program, { APP_DATA_DIR: dataDir }, ['--user', 'me'])))
  assert.deepEqual(
    runs.map(({ status }) => status),
    [0, 0],
  )
  const privateFile = join(dataDir, 'token/signing-key.json')
  assert.equal(statSync(privateFile).mode & 0o777, 0o600)
  const { d, x } = JSON.parse(readFileSync(privateFile, 'utf8')) as { d: string; x: string }
  const published = readFileSync(join(dataDir, 'token/public-keys.json'), 'utf8')
  assert.ok(published.includes(x) && !published.includes(d))
  assert.ok(runs.every(({ stdout, stderr }) => !(stdout + stderr).includes(d)))
})

test('what it can’t use is said by name', async (t) => {
  const dataDir = temporaryFolder(t)
  for (const [args, status, words] of [
    [[], 2, /--user is needed/],
    [['--user', 'a b'], 2, /--user must be 1 to 255 characters/],
    [['--user', 'me', '--minutes', '0'], 2, /--minutes must be a whole number/],
    [['--scope', 'a  b'], 2, /--scope must be scopes/],
  ] as const) {
    const run = await runTool(program, { APP_DATA_DIR: dataDir }, args)
    assert.deepEqual([run.status, run.stdout], [status, ''])
    assert.match(run.stderr, words)
  }
  await runTool(program, { APP_DATA_DIR: dataDir }, ['--user', 'me'])
  writeFileSync(join(dataDir, 'token/signing-key.json'), '{"kty":')
  const broken = await runTool(program, { APP_DATA_DIR: dataDir }, ['--user', 'me'])
  assert.deepEqual([broken.status, broken.stdout], [1, ''])
  assert.match(broken.stderr, /is no key that npm run token has made: remove it/)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

import { temporaryFolder } from './helpers/scope.ts'

// A linter's table of forbidden imports that has a slip in a pattern forbids nothing and stays green. So here it is held
// against the design's table from outside: the real configuration has to refuse every row's violations, and nothing else.

const libraries = ['ioredis', 'convict', 'pg-native', 'piscina', 'pino'] as const
/** Files, and what each must not import. Folders are given from the project's root. */
const forbidden: Readonly<Record<string, readonly string[]>> = {
  'core/ids.ts': ['server/', 'workers/', 'bench/', 'ops/', 'test/', 'ioredis', 'convict', 'pg-native', 'pino'],
  'core/config/load.ts': ['server/', 'workers/', 'bench/', 'ops/', 'test/', 'ioredis', 'pg-native', 'pino'],
  'core/redis/store.ts': ['server/', 'workers/', 'bench/', 'ops/', 'test/', 'convict', 'dotenv', 'pg-native', 'pino'],
  'core/postgres/reads.ts': ['server/', 'workers/', 'bench/', 'ops/', 'test/', 'ioredis', 'convict', 'pino'],
  'core/log.ts': ['server/', 'workers/', 'bench/', 'ops/', 'test/', 'ioredis', 'convict', 'pg-native'],
  'server/primary/primary.ts': [
    'server/worker/',
    'server/worker/http/',
    'workers/',
    'bench/',
    'ops/',
    'ops/embedded/',
    'test/',
    ...libraries,
    'uWebSockets.js',
  ],
  'server/primary/main.ts': [
    'server/worker/',
    'workers/',
    'bench/',
    'ops/tools/',
    'ops/deploy/',
    'ops/setup/',
    'test/',
    'ioredis',
    'uWebSockets.js',
  ],
  'server/worker/http-worker.ts': ['server/primary/', 'workers/', 'bench/', 'ops/', 'test/', 'uWebSockets.js'],
  'server/worker/selling/checkout.ts': ['server/primary/', 'workers/', 'bench/', 'ops/', 'test/', ...libraries],
  'server/worker/http/http-server.ts': ['server/primary/', 'uWebSockets.js'],
  'server/worker/http/some.test.ts': ['server/primary/', 'test/', 'ioredis'],
  'server/worker/http/uws.ts': ['server/primary/', 'workers/', 'bench/', 'ops/', 'test/', 'ioredis', 'pg-native'],
  'server/worker/board/page/assets.ts': ['server/primary/', 'workers/', 'bench/', 'ops/', 'test/'],
  'workers/copier.ts': ['server/', 'bench/', 'ops/', 'test/', 'ioredis', 'convict', 'pg-native', 'uWebSockets.js'],
  'ops/tools/audit/main.ts': ['server/', 'workers/', 'bench/', 'test/', 'ioredis', 'convict', 'pg-native', 'piscina'],
  'bench/floor/main.ts': ['ops/', 'test/', 'ioredis', 'pg-native', 'uWebSockets.js'],
  'examples/some.ts': ['core/', 'server/', 'workers/', 'bench/', 'ops/', 'test/', 'msgpackr', 'pino', 'knip'],
}

const allowed: Readonly<Record<string, readonly string[]>> = {
  'core/ids.ts': ['core/', 'msgpackr', 'prom-client'],
  'core/config/load.ts': ['core/', 'convict', 'dotenv'],
  'core/redis/store.ts': ['core/', 'ioredis'],
  'core/postgres/reads.ts': ['core/', 'pg-native'],
  'core/log.ts': ['core/', 'pino', 'pino-pretty'],
  'server/primary/primary.ts': ['core/', 'server/primary/'],
  'server/primary/main.ts': ['core/', 'server/primary/', 'ops/embedded/'],
  'server/worker/http-worker.ts': ['core/', 'server/worker/', 'server/worker/selling/'],
  'server/worker/selling/checkout.ts': ['core/', 'server/worker/', 'server/worker/http/'],
  'server/worker/http/some.test.ts': ['core/', 'server/worker/', 'msgpackr'],
  'server/worker/http/uws.ts': ['core/', 'server/worker/', 'uWebSockets.js'],
  'workers/copier.ts': ['core/', 'workers/', 'piscina'],
  'ops/tools/audit/main.ts': ['core/', 'ops/'],
  'examples/some.ts': ['node:crypto', 'node:fs/promises', 'examples/', 'k6', 'k6/http'],
  'bench/floor/main.ts': ['core/', 'server/primary/', 'server/worker/', 'workers/', 'autocannon', 'msgpackr'],
  'test/flow.test.ts': ['core/', 'server/', 'workers/', 'ops/', 'bench/', 'ioredis', 'uWebSockets.js'],
}

/** `a/` is some module of that folder, as seen from the file; anything else is a package. */
function specifierOf(file: string, target: string): string {
  if (!target.endsWith('/')) return target
  const path = relative(dirname(file), `${target}some-module.ts`)
  return path.startsWith('.') ? path : `./${path}`
}

/** Runs the linter with the project's configuration over one file for each import; gives the imports it refused. */
function refusedImports(folder: string, table: Readonly<Record<string, readonly string[]>>): string[] {
  const root = process.cwd()
  const config = readFileSync(join(root, '.oxlintrc.json'), 'utf8')
  // Without types: the modules that are imported here don't exist.
  writeFileSync(join(folder, '.oxlintrc.json'), config.replace('"typeAware": true', '"typeAware": false'))
  const refused: string[] = []
  const imports = Object.entries(table).flatMap(([file, targets]) => targets.map((target) => ({ file, target })))
  const lines = new Map<string, string[]>()
  for (const { file, target } of imports) {
    const text = lines.get(file) ?? []
    text.push(`export { some${text.length} } from '${specifierOf(file, target)}'`)
    lines.set(file, text)
  }
  for (const [file, text] of lines) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text.join('\n'))
  }
  const oxlint = resolve(root, 'node_modules/.bin/oxlint')
  const { stdout } = spawnSync(oxlint, ['--format=unix', '.'], { cwd: folder, encoding: 'utf8' })
  for (const finding of stdout.split('\n')) {
    const place = /^(?:\.\/)?(?<file>[^:]+):(?<line>\d+):.*no-restricted-imports/.exec(finding)?.groups
    const target = table[place?.['file'] ?? '']?.[Number(place?.['line']) - 1]
    if (target !== undefined) refused.push(`${place?.['file']} imports ${target}`)
  }
  return refused
}

function sentences(table: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(table).flatMap(([file, targets]) => targets.map((target) => `${file} imports ${target}`))
}

test('the linter refuses every import that the table forbids', (t) => {
  const refused = refusedImports(temporaryFolder(t), forbidden)
  assert.deepEqual(new Set(refused), new Set(sentences(forbidden)))
})

test('the linter lets through every import that the table allows', (t) => {
  assert.deepEqual(refusedImports(temporaryFolder(t), allowed), [])
})

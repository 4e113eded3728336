import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { missingMigrations, readMigrations } from './schema.ts'

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): URL {
  const folder = mkdtempSync(join(tmpdir(), 'hotcakes-schema-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return pathToFileURL(`${folder}/`)
}

test('the files of a schema are read in the order of their numbers', (t) => {
  const folder = folderWith(t, { '002-b.sql': 'b', '001-a.sql': 'a', 'README.md': 'not SQL' })
  const read = readMigrations(folder)
  assert.deepEqual(
    read.map(({ number, name, sql }) => [number, name, sql]),
    [
      [1, '001-a.sql', 'a'],
      [2, '002-b.sql', 'b'],
    ],
  )
})

test('a file without a number, a gap and a number twice are refused', (t) => {
  const refused = { code: 'HC_SCHEMA' }
  assert.throws(() => readMigrations(folderWith(t, { 'a.sql': '' })), refused)
  assert.throws(() => readMigrations(folderWith(t, { '001-a.sql': '', '003-c.sql': '' })), refused)
  assert.throws(() => readMigrations(folderWith(t, { '001-a.sql': '', '001-b.sql': '' })), refused)
})

const [first, second] = [1, 2].map((number) => ({ number, name: `00${number}-x.sql`, sql: '', digest: `d${number}` }))

test('what was applied is not applied again', () => {
  assert.ok(first && second)
  assert.deepEqual(missingMigrations([first, second], []), [first, second])
  assert.deepEqual(missingMigrations([first, second], [first]), [second])
  assert.deepEqual(missingMigrations([first, second], [first, second]), [])
})

test('a database of a newer version, or with a file that was changed since, is refused', () => {
  assert.ok(first && second)
  assert.throws(() => missingMigrations([first], [first, second]), { code: 'HC_SCHEMA', message: /newer.*002-x/ })
  const changed = { ...first, digest: 'another' }
  assert.throws(() => missingMigrations([first, second], [changed]), { code: 'HC_SCHEMA', message: /001-x/ })
})

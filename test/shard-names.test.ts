import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/** What runs; tests name shards of their own making. */
const folders = ['core', 'server', 'workers', 'ops', 'bench']
/** The one that says which shards there are. */
const excused = new Set(['core/shards.ts'])
/** The first shard's number where it is passed, assigned, compared or part of a key. */
const naming = [
  /\bshard(?:Of|Keys)\(0\b/,
  /\bshard(?!s\b)\w*\s*(?::|===?|=)\s*0\b/i,
  /\bshards(?:\.all)?\[0\b/,
  /\bSeenPositions\(0\b/,
  /\{hotcakes:0\}/,
]

/** `where shard = 0` and the like, in a migration that can't change any more. */
function isMigration(file: string): boolean {
  return /^core\/postgres\/schema\/\d/.test(file)
}

function filesBelow(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.map((name) => join(folder, name)).filter((name) => /\.(?:ts|mjs|lua|sql)$/.test(name))
}

function linesThatName(text: string): string[] {
  return text.split('\n').filter((line) => naming.some((pattern) => pattern.test(line)))
}

test('no file names the shard 0, but the one that says which shards there are', () => {
  const found = folders
    .flatMap(filesBelow)
    .filter((file) => !excused.has(file) && !isMigration(file) && !/\.test\.ts$|^bench\/reports\//.test(file))
    .flatMap((file) => linesThatName(readFileSync(file, 'utf8')).map((line) => `${file}: ${line.trim()}`))
  assert.deepEqual(found, [])
})

test('what it looks for is found where it stands', () => {
  for (const line of [
    'shardKeys(0).log',
    'shardOf(0)',
    'const shard = 0',
    '{ shard: 0, name }',
    'where shard = 0',
    'new SeenPositions(0)',
    'this.shards[0]',
    "'{hotcakes:0}:log'",
  ]) {
    assert.deepEqual(linesThatName(line), [line])
  }
  assert.deepEqual(linesThatName('new SaleStore(redis, { shard: firstShard })'), [])
})

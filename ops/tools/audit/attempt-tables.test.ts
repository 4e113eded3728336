// Goal: no table of attempts is forgotten by the audit. Its queries name them one by one, so a table that is new would be
// compared with nothing, and whatever is wrong in it would pass.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

import { attemptTables } from '../../../core/postgres/daily-tables.ts'

const folder = new URL('./checks/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.sql'))
const sql = new Map(names.map((name) => [name, withoutComments(readFileSync(new URL(name, folder), 'utf8'))]))

/** The tables as each query names them: themselves, or their common table expression. */
const expressions = expressionsIn('attempts-of-one-shard.sql')

/** They ask something that only attempts of one kind can answer: whether a purchase is one, whose hold a code was. */
const ofOneKind = [
  'attempt-unlike-purchase.sql',
  'holder-differs.sql',
  'release-differs.sql',
  'retired-differs.sql',
  'sold-twice.sql',
]
/** They go by purchases, rights or kept counts. */
const ofNone = ['over-limit.sql', 'right-not-lent.sql', 'rights.sql']

function withoutComments(text: string): string {
  return text.replaceAll(/--.*$/gm, '')
}

/** Table -> name. */
function expressionsIn(name: string): Map<string, string> {
  const found = (sql.get(name) ?? '').matchAll(/(\w+) as not materialized \(.*?\bfrom (\w+)/gs)
  return new Map([...found].map(([, expression = '', table = '']) => [table, expression]))
}

function tablesIn(text: string): string[] {
  const isNamed = (name: string | undefined): boolean => name !== undefined && new RegExp(`\\b${name}\\b`).test(text)
  return attemptTables.filter((table) => isNamed(table) || isNamed(expressions.get(table)))
}

test('both sets of common table expressions have every table of attempts, by the same names', () => {
  for (const table of attemptTables) assert.ok(expressions.has(table), table)
  assert.deepEqual(expressionsIn('attempts-of-shards.sql'), expressions)
})

test('every query goes over all tables of attempts, but those that ask something else', () => {
  const others = new Set([...ofOneKind, ...ofNone])
  for (const name of others) assert.ok(sql.has(name), `${name} is not there any more`)
  for (const [name, text] of sql) {
    const named = tablesIn(text)
    if (ofNone.includes(name)) assert.deepEqual(named, [], name)
    else if (ofOneKind.includes(name)) assert.ok(named.length > 0 && named.length < attemptTables.length, name)
    else assert.deepEqual(named, [...attemptTables], name)
  }
})

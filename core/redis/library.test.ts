import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { outcomes, unlistedOutcomes } from '../outcomes.ts'
import { libraryName } from './library.ts'

const source = readFileSync(new URL('./hotcakes.lua', import.meta.url), 'utf8')

test('the header of the Redis library documents exactly the outcomes of core/outcomes.ts', () => {
  const header = source.slice(0, source.indexOf(']]'))
  const documented = [...header.matchAll(/^ {4}(\d+) +(\w+)((?: +[a-z_]+)*)( +-)?$/gm)].map((row) => {
    return {
      code: Number(row[1]),
      name: row[2],
      details: row[3]?.trim().split(/ +/).filter(Boolean),
      unlisted: row[4] !== undefined,
    }
  })
  const expected = Object.entries(outcomes).map(([name, { code, details }]) => {
    return { code, name, details: [...details], unlisted: (unlistedOutcomes as readonly string[]).includes(name) }
  })
  assert.deepEqual(documented, expected)
})

test('the codes in the Lua source are those of its header', () => {
  const names = [...source.matchAll(/^local ([A-Z_]+(?:, [A-Z_]+)+) = ([\d, ]+)$/gm)].flatMap(
    ([, left = '', right = '']) => {
      const values = right.split(', ')
      return left.split(', ').map((name, at) => [name.toLowerCase(), Number(values[at])] as const)
    },
  )
  const table = Object.fromEntries(names.filter(([name]) => name !== 'first' && name !== 'fields'))
  assert.deepEqual(table, Object.fromEntries(Object.entries(outcomes).map(([name, { code }]) => [name, code])))
})

test('every command of the functions is among those whose rights are checked', () => {
  const list = /^local COMMANDS = \{([^}]*)\}/m.exec(source)?.[1] ?? ''
  const calls = [...source.matchAll(/\bcall\(([^,)]*)/g)].map(([, first]) => first ?? '')
  const called = new Set(calls.flatMap((first) => [...first.matchAll(/'([A-Z]+)'/g)].map(([, name]) => name)))
  const listed = [...list.matchAll(/'([A-Z]+)\b/g)].map(([, name]) => name)
  assert.deepEqual(new Set(listed), called)
})

test('the library is named by the digest of its source', () => {
  assert.match(libraryName, /^hotcakes_[0-9a-f]{12}$/)
})

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { outcomes, replies, unlistedOutcomes } from '../outcomes.ts'
import { functionNames } from './library.ts'
import { libraryFiles, libraryName, librarySource, withLinesOfFiles } from './library-source.ts'

function headerOf(text: string): string {
  return text.slice(0, text.indexOf(']]'))
}

test('the headers of the Redis library document exactly the outcomes of core/outcomes.ts', () => {
  const headers = libraryFiles.map(({ text }) => headerOf(text)).join('')
  const documented = [...headers.matchAll(/^ {4}(\d+) +(\w+)((?: +[a-z_]+)*)( +-)?$/gm)].map((row) => {
    return {
      code: Number(row[1]),
      name: row[2],
      details: row[3]?.trim().split(/ +/).filter(Boolean),
      unlisted: row[4] !== undefined,
    }
  })
  const expected = Object.entries({ ...outcomes, ...replies }).map(([name, { code, details }]) => {
    return { code, name, details: [...details], unlisted: (unlistedOutcomes as readonly string[]).includes(name) }
  })
  assert.deepEqual(documented, expected)
})

test('the codes in the Lua source are those of its header', () => {
  const names = [...librarySource.matchAll(/^local ([A-Z_]+(?:, [A-Z_]+)+) = ([\d, ]+)$/gm)].flatMap(
    ([, left = '', right = '']) => {
      const values = right.split(', ')
      return left.split(', ').map((name, at) => [name.toLowerCase(), Number(values[at])] as const)
    },
  )
  assert.deepEqual(Object.fromEntries(names), codes())
})

function codes(): Record<string, number> {
  return Object.fromEntries(Object.entries({ ...outcomes, ...replies }).map(([name, { code }]) => [name, code]))
}

/** Names that a file registers, in order, with their flags. */
function registeredIn(text: string): { name: string; isReadOnly: boolean }[] {
  return [...text.matchAll(/^redis\.register_function\((.*)\)$/gm)].map(([, call = '']) => {
    const [, name = '', implementation] = /'@LIBRARY@_(\w+)',(?: callback =)? (\w+)/.exec(call) ?? []
    assert.equal(implementation, name)
    return { name, isReadOnly: call.includes("'no-writes'") }
  })
}

test('each function is documented in the header of the file that registers it, and no other is', () => {
  for (const { name, text } of libraryFiles) {
    const documented = [...headerOf(text).matchAll(/^([a-z_]+)(?: ARGV)?: /gm)].map(([, each]) => each)
    assert.deepEqual(new Set(registeredIn(text).map((each) => each.name)), new Set(documented), name)
  }
})

test('the functions that are registered are those that are called, and those without writes by whoever may only read', () => {
  const registered = libraryFiles.flatMap(({ text }) => registeredIn(text))
  const named = (isReadOnly: boolean) =>
    new Set(registered.filter((each) => each.isReadOnly === isReadOnly).map(({ name }) => name))
  assert.deepEqual(named(false), new Set(functionNames.writing))
  assert.deepEqual(named(true), new Set(functionNames.readOnly))
})

test('every command of the functions is among those whose rights are checked', () => {
  const list = /^local COMMANDS = \{([^}]*)\}/m.exec(librarySource)?.[1] ?? ''
  const calls = [...librarySource.matchAll(/\bcall\(([^,)]*)/g)].map(([, first]) => first ?? '')
  const called = new Set(calls.flatMap((first) => [...first.matchAll(/'([A-Z]+)'/g)].map(([, name]) => name)))
  const listed = [...list.matchAll(/'([A-Z]+)\b/g)].map(([, name]) => name)
  assert.deepEqual(new Set(listed), called)
})

test('the library is every Lua file of its folder, named by their digest', () => {
  const inFolder = readdirSync(new URL('./functions/', import.meta.url)).filter((name) => name.endsWith('.lua'))
  assert.deepEqual(libraryFiles.map(({ name }) => name).toSorted(), inFolder.toSorted())
  assert.match(libraryName, /^hotcakes_[0-9a-f]{12}$/)
  assert.ok(librarySource.startsWith(`#!lua name=${libraryName}\n`))
  assert.ok(!librarySource.includes('@LIBRARY@'))
})

test("a line of the joined source becomes the line of its file in a message of Redis'", () => {
  const lines = librarySource.split('\n')
  for (const [name, text] of [
    ['shared.lua', 'local function now_ms()'],
    ['rights.lua', 'local function home_of(user, shards)'],
    ['sale.lua', 'local function slots_taken(entry)'],
    ['decide.lua', 'local function decide(keys, args)'],
    ['admission.lua', 'local function fence(keys, args)'],
    ['settling.lua', 'local function rights_give(keys, args)'],
    ['reading.lua', 'local function audit_sale(keys, args)'],
  ] as const) {
    const inFile = libraryFiles.find((file) => file.name === name)?.text.split('\n') ?? []
    const message = `ERR user_function:${lines.indexOf(text) + 1}: no`
    assert.equal(withLinesOfFiles(message), `ERR ${name}:${inFile.indexOf(text) + 1}: no`)
  }
  assert.equal(withLinesOfFiles('ERR user_function:1: no'), 'ERR shared.lua:1: no')
  assert.equal(withLinesOfFiles('ERR user_function:99999: no'), 'ERR user_function:99999: no')
  assert.equal(withLinesOfFiles('OOM command not allowed'), 'OOM command not allowed')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { listedOrigins, problemsOfOrigins } from './origins.ts'

test('origins as browsers send them are taken, with spaces around them, and so is * alone', () => {
  for (const text of [
    '',
    '*',
    'https://shop.example.com',
    'https://shop.example.com, http://localhost:3000,',
    'http://127.0.0.1:5173',
    'http://[::1]:5173',
    'https://xn--mnchen-3ya.example',
    'capacitor://localhost',
  ])
    assert.deepEqual(problemsOfOrigins(text), [], text)
  assert.deepEqual(listedOrigins(' https://a.example , http://b.example:1,'), [
    'https://a.example',
    'http://b.example:1',
  ])
})

test('what never matches is refused with the spelling that would, and without repeating it', () => {
  for (const [entry, meant] of [
    ['https://shop.example.com/', 'https://shop.example.com'],
    ['https://shop.example.com/checkout?x=1', 'https://shop.example.com'],
    ['https://Shop.Example.com', 'https://shop.example.com'],
    ['HTTPS://shop.example.com', 'https://shop.example.com'],
    ['https://shop.example.com:443', 'https://shop.example.com'],
    ['http://shop.example.com:80', 'http://shop.example.com'],
    ['https://me:secret@shop.example.com', 'https://shop.example.com'],
    ['https://münchen.example', 'https://xn--mnchen-3ya.example'],
  ] as const) {
    const problems = problemsOfOrigins(`http://localhost:3000,${entry}`)
    assert.deepEqual(problems, [`APP_ALLOWED_ORIGINS: entry 2 is not what browsers send as the origin: write ${meant}`])
  }
  for (const entry of [
    'shop.example.com',
    'shop.example.com:8443',
    'null',
    'https://',
    'https://*.example.com',
    '//a',
  ]) {
    const [problem = '', ...others] = problemsOfOrigins(entry)
    assert.match(problem, /^APP_ALLOWED_ORIGINS: entry 1 is no origin: write it like https:/, entry)
    assert.deepEqual(others, [])
  }
  assert.deepEqual(problemsOfOrigins('https://a.example,*'), [
    'APP_ALLOWED_ORIGINS: entry 2 is *, which must stand alone',
  ])
})

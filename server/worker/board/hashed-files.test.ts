import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HashedFiles } from './hashed-files.ts'

const sources = {
  'index.html': '<link href="/board/a.css"><script src="/board/a.browser.mjs"></script><a href="/docs">',
  'a.css': 'src: url(/board/font.woff2)',
  'a.browser.mjs': "import { b } from './b.browser.mjs'\nfetch('/board/feed')",
  'b.browser.mjs': 'export const b = 1',
  'font.woff2': 'font',
}

function made(changes: Record<string, string> = {}): HashedFiles {
  const all = Object.entries({ ...sources, ...changes })
  return new HashedFiles(new Map(all.map(([name, text]) => [name, Buffer.from(text)])))
}

test('files name each other with hashes, and what is no file stays as it is', () => {
  const files = made()
  const page = files.bytes('index.html').toString()
  assert.match(page, /href="\/board\/a\.[\w-]{10}\.css".*src="\/board\/a\.browser\.[\w-]{10}\.mjs".*href="\/docs"/)
  assert.match(files.bytes('a.css').toString(), /url\(\/board\/font\.[\w-]{10}\.woff2\)/)
  assert.match(files.bytes('a.browser.mjs').toString(), /'\.\/b\.browser\.[\w-]{10}\.mjs'\nfetch\('\/board\/feed'\)/)
  for (const name of Object.keys(sources)) assert.equal(HashedFiles.nameOf(files.hashedName(name)), name)
  assert.equal(HashedFiles.nameOf('a.css'), 'a.css')
})

test('a change renames all that use the file, and nothing else', () => {
  const [before, after] = [made(), made({ 'b.browser.mjs': 'export const b = 2' })]
  const changed = Object.keys(sources).filter((name) => before.hashedName(name) !== after.hashedName(name))
  assert.deepEqual(changed, ['index.html', 'a.browser.mjs', 'b.browser.mjs'])
})

test('files that use each other are refused', () => {
  assert.throws(() => made({ 'b.browser.mjs': "import './a.browser.mjs'" }).bytes('index.html'), /used by what it uses/)
})

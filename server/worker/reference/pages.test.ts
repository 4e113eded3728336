import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { problemCodes, problemReplies } from '../http/problems.ts'
import type { ApiDocument } from './api-document.ts'
import { openApiDocument } from './document.ts'
import { errorsPage } from './errors-page.ts'
import { inlineMarkdown, markdown } from './html.ts'
import { referencePage } from './reference-page.ts'

const baseUrl = 'http://localhost:8080'
const meanings = readFileSync('docs/ERRORS.md', 'utf8') // npm test runs in the project's root

function pagesOf(isSigned: boolean) {
  const text = openApiDocument({ version: '0.0.0', sale: 7, baseUrl, isSigned })
  const document = JSON.parse(text) as ApiDocument
  return { '/docs': referencePage(document, baseUrl), '/docs/errors': errorsPage(meanings, document) }
}

for (const isSigned of [false, true]) {
  test(`every link within the pages leads to something, with${isSigned ? '' : 'out'} signed buyers`, () => {
    const pages: Readonly<Record<string, string>> = pagesOf(isSigned)
    for (const [path, html] of Object.entries(pages)) {
      const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
      assert.equal(new Set(ids).size, ids.length, `${path} has no id twice`)
      const links = [...html.matchAll(/ href="([^"]*)#([^"]+)"/g)]
      assert.ok(links.length > 20)
      for (const [, to = '', anchor = ''] of links)
        assert.ok(pages[to || path]?.includes(` id="${anchor}"`), `${path}: ${to}#${anchor}`)
    }
  })
}

test('every problem leads to its part of the page', () => {
  const html = pagesOf(false)['/docs/errors']
  for (const code of problemCodes) {
    const { doc_url: docUrl } = JSON.parse(problemReplies[code].body) as { doc_url: string }
    assert.equal(docUrl.split('#')[0], '/docs/errors')
    assert.ok(html.includes(`<section class="card" id="${docUrl.split('#')[1]}">`), code)
  }
})

test('of Markdown there is what the documents use, and nothing of a text becomes markup', () => {
  assert.equal(
    markdown('A **b**\nof `c < d`.\n\n- one\n- two\n  lines\n\n```sh\na "b" > c\n```\n'),
    '<p>A <strong>b</strong>\nof <code>c &lt; d</code>.</p><ul><li>one</li><li>two\n  lines</li></ul><pre><code>a &quot;b&quot; &gt; c</code></pre>',
  )
  assert.equal(inlineMarkdown('[here](/docs) or [there](API.md)'), '<a href="/docs">here</a> or there')
  assert.equal(inlineMarkdown('<b>&"</b>'), '&lt;b&gt;&amp;&quot;&lt;/b&gt;')
  assert.equal(inlineMarkdown('[x](javascript:alert)'), 'x')
})

test("the reference has no colours and no fonts of its own: they are the board's", () => {
  const css = readFileSync('server/worker/reference/page/docs.css', 'utf8')
  assert.doesNotMatch(css, /#[0-9a-f]{3,8}\b|@font-face|^\s*--/im)
  const theme = readFileSync('server/worker/board/page/theme.css', 'utf8')
  const used = new Set([...css.matchAll(/var\((--[\w-]+)\)/g)].map(([, name = '']) => name))
  assert.ok(used.size > 8)
  for (const name of used) assert.match(theme, new RegExp(`${name}: `), name)
})

import assert from 'node:assert/strict'

import { type ProblemCode, problemBody, problemCodes, problemFacts } from '../http/problems.ts'
import { type ApiDocument, operationsOf, problemCodesOf } from './api-document.ts'
import { escaped, inlineMarkdown, markdown } from './html.ts'
import { pageOf } from './shell.ts'

/**
 * Every problem with an anchor of its own: `doc_url` leads there.
 * @param text docs/ERRORS.md, which says what each means; a test holds it and the catalogue together
 */
export function errorsPage(text: string, document: ApiDocument): string {
  const sections = sectionsOf(text)
  const main = problemCodes.map((code) => sectionHtml(code, { meaning: meaningOf(sections, code), document }))
  return pageOf({
    title: 'hotcakes: errors',
    contents: contents(),
    main: `<section class="intro"><h1>Errors</h1>${markdown(introduction)}</section>${main.join('\n')}`,
  })
}

const introduction = `Every error of the API is \`application/problem+json\` (RFC 9457). Branch on \`code\`: it is stable, and so is \`type\`,
the same as a URI to compare. \`title\` and \`detail\` are for people and may change. \`doc_url\` leads to this page.

The same request again is always safe. After a 503 or 429 wait for \`Retry-After\` first.`

/** What stands below each heading of the third level. */
function sectionsOf(text: string): ReadonlyMap<string, string> {
  const sections = text.split(/^### /m).slice(1)
  return new Map(
    sections.map((section) => {
      const [heading = '', ...lines] = section.split('\n')
      return [heading, lines.join('\n').split(/^## /m, 1)[0]?.trim() ?? '']
    }),
  )
}

/** Without its title, which the page has already. */
function meaningOf(sections: ReadonlyMap<string, string>, code: ProblemCode): string {
  const { status, title } = problemFacts(code)
  const section = sections.get(`\`${code}\` (${status})`)
  assert(section !== undefined && section.startsWith(`${title}. `), `docs/ERRORS.md says what ${code} means`)
  return section.slice(title.length + 2)
}

function contents(): string {
  const statuses = [...new Set(problemCodes.map((code) => problemFacts(code).status))].toSorted((a, b) => a - b)
  return statuses
    .map((status) => {
      const here = problemCodes.filter((code) => problemFacts(code).status === status)
      const links = here.map((code) => `<li><a href="#${code}">${code}</a></li>`)
      return `<h2>${status}</h2><ul>${links.join('')}</ul>`
    })
    .join('')
}

function sectionHtml(code: ProblemCode, { meaning, document }: { meaning: string; document: ApiDocument }): string {
  const { status, title } = problemFacts(code)
  const operations = operationsOf(document).filter(({ operation }) =>
    Object.values(operation.responses).some((response) => problemCodesOf(response).includes(code)),
  )
  const links = operations.map(
    ({ method, path, operation }) => `<li><a href="/docs#${operation.operationId}">${method} ${escaped(path)}</a></li>`,
  )
  const from = links.length === 0 ? '' : `<h3>Answered by</h3><ul class="inline">${links.join('')}</ul>`
  return `<section class="card" id="${code}">
<h2><code>${code}</code> <span class="status">${status}</span></h2>
<p class="lead">${inlineMarkdown(title)}.</p>
${markdown(meaning)}
${from}
<h3>The answer</h3>
<pre><code>${escaped(JSON.stringify(problemBody(code), undefined, 2))}</code></pre>
</section>`
}

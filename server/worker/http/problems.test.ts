import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { faultTitles } from '../../../core/faults.ts'
import { purchasesProblem, purchasesProblemCodes } from '../../../core/purchases/problems.ts'
import { problemCodes, problemReplies } from './problems.ts'

interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly doc_url: string
}

function problemOf(code: (typeof problemCodes)[number]): Problem {
  return JSON.parse(problemReplies[code].body) as Problem
}

/** `npm test` starts in the project's root; compiled files stand below it at varying depths. */
const documentation = readFileSync(join(process.cwd(), 'docs/ERRORS.md'), 'utf8')
/** What stands below each heading of the third level. */
const sections = new Map(
  documentation
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const lineEnd = section.indexOf('\n')
      return [section.slice(0, lineEnd), section.slice(lineEnd).replace(/\s+/g, ' ').trim()]
    }),
)

test('docs/ERRORS.md documents every problem and every fault, each under its title, and nothing else', () => {
  const titles = new Map<string, string>(
    Object.entries(faultTitles).map(([code, title]) => [`\`${code}\``, title] as const),
  )
  for (const code of problemCodes) {
    const { status, title } = problemOf(code)
    titles.set(`\`${code}\` (${status})`, title)
  }
  for (const code of purchasesProblemCodes) {
    const { status, title } = purchasesProblem(code)
    const heading = `\`${code}\` (${status})`
    assert.equal(titles.get(heading) ?? title, title, 'what both ports answer is the same')
    titles.set(heading, title)
  }
  assert.deepEqual([...sections.keys()].toSorted(), [...titles.keys()].toSorted())
  for (const [heading, title] of titles) {
    const section = sections.get(heading) ?? ''
    assert.ok(section.startsWith(`${title}. `), `${heading}: ${section.slice(0, 80)}`)
    assert.ok(section.length > title.length + 2, `${heading} says more than its title`)
  }
})

test('every problem is a whole RFC 9457 object, and its status line says its status', () => {
  for (const code of problemCodes) {
    const problem = problemOf(code)
    assert.deepEqual(Object.keys(problem), ['type', 'title', 'status', 'code', 'detail', 'doc_url'])
    assert.equal(problem.code, code)
    assert.equal(problem.doc_url, `/docs/errors#${code}`)
    assert.equal(problem.type, `urn:hotcakes:problem:${code}`)
    const { status, lines } = problemReplies[code].head
    assert.equal(status, problem.status)
    assert.match(lines, new RegExp(`^${status} [A-Z][A-Za-z ]+\r\nContent-Type: application/problem\\+json\r\n`))
  }
})

test('every 503 says that a retry is safe', () => {
  for (const code of [
    'overloaded',
    'unavailable',
    'unrecorded',
    'recovering',
    'record_behind',
    'shutting_down',
  ] as const) {
    assert.equal(problemOf(code).status, 503)
    assert.match(problemOf(code).detail, /Retrying is safe/)
  }
})

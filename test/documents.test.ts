// Goal: the documents lead somewhere, and say what the code says.
// Method: links, commands and tables of all Markdown files are held against the files, package.json, the lock file and the
// lists that the code has.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { parse } from 'yaml'

import { problemCodes } from '../server/worker/http/problems.ts'
import { RequestMetrics } from '../server/worker/http/request-metrics.ts'

/** The README is what a stranger reads first: detail has its place in docs/. */
const readmeWordsMax = 1_500

// npm test runs in the project's root.
const folders = ['.github', 'bench', 'core', 'docs', 'examples', 'ops', 'server', 'test', 'workers']
const documents = new Map(
  [
    ...readdirSync('.').filter(isMarkdown),
    ...folders.flatMap((folder) =>
      (readdirSync(folder, { recursive: true }) as string[]).filter(isMarkdown).map((path) => join(folder, path)),
    ),
  ].map((path) => [path, readFileSync(path, 'utf8')]),
)

function isMarkdown(path: string): boolean {
  return path.endsWith('.md')
}

function documentAt(path: string): string {
  const text = documents.get(path)
  assert.ok(text !== undefined, `there is ${path}`)
  return text
}

/** Without what stands in code, where brackets and hashes mean something else. */
function prose(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]]/g, ''))
}

/** As GitHub makes them of headings. */
function anchors(text: string): Set<string> {
  const headings = [...text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#+ (.+)$/gm)]
  return new Set(headings.map(([, heading = '']) => slug(heading)))
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-')
}

/** What stands under the heading, up to the next one of its level. */
function sectionOf(path: string, heading: string): string {
  const [, after] = documentAt(path).split(`\n## ${heading}\n`)
  assert.ok(after !== undefined, `${path} has the section ${heading}`)
  return after.split('\n## ')[0] ?? ''
}

function brokenLink(from: string, target: string): string | undefined {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? from : join(dirname(from), path)
  if (!existsSync(file)) return `${from}: ${target} is not there`
  if (anchor === undefined) return undefined
  const isThere = statSync(file).isFile() && anchors(readFileSync(file, 'utf8')).has(anchor)
  return isThere ? undefined : `${from}: ${target} has no such heading`
}

test('every local link of every document leads to a file, and to a heading of it', () => {
  const links = [...documents].flatMap(([from, text]) =>
    [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ from, target })),
  )
  const local = links.filter(({ target }) => !/^[a-z]+:/.test(target))
  assert.ok(local.length > 100, `${local.length} links were found`)
  assert.deepEqual(
    local.flatMap(({ from, target }) => brokenLink(from, target) ?? []),
    [],
  )
})

test('every command and every test that a document names is there', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
  const missing = [...documents].flatMap(([path, text]) => {
    // The changelog names what was.
    if (path === 'CHANGELOG.md') return []
    const commands = [...text.matchAll(/npm run (?:-s |--silent )?([a-z]+[a-z:-]*)/g)].map(([, name = '']) => name)
    const tests = [...text.matchAll(/\b((?:test|core|server|workers|ops|bench)\/[\w/-]+\.test\.ts)/g)]
    return [
      ...commands.filter((name) => scripts[name] === undefined).map((name) => `${path}: npm run ${name}`),
      ...tests.flatMap(([, file = '']) => (existsSync(file) ? [] : [`${path}: ${file}`])),
    ]
  })
  assert.deepEqual(missing, [])
})

test('every file that a document names in code is there', () => {
  const missing = [...documents].flatMap(([path, text]) => {
    if (path === 'CHANGELOG.md') return [] // it names what was
    const named = text.matchAll(/`((?:core|server|workers|ops|bench|test|docs)\/[\w./-]+)`/g)
    return [...named].flatMap(([, file = '']) => (existsSync(file) ? [] : [`${path}: ${file}`]))
  })
  assert.deepEqual(missing, [])
})

test(`README.md has fewer than ${readmeWordsMax} words`, () => {
  const words = documentAt('README.md').split(/\s+/).filter(Boolean).length
  assert.ok(words < readmeWordsMax, `it has ${words}`)
})

test('the table of what can turn a request away names every reason and every problem that the code has', async () => {
  const registry = new Registry()
  assert.ok(new RequestMetrics(registry, ['/']))
  const shed = await registry.getSingleMetric('hotcakes_requests_shed_total')?.get()
  const reasons = shed?.values.map(({ labels }) => String(labels['reason'])) ?? []
  assert.ok(reasons.length > 5)
  const section = sectionOf('ARCHITECTURE.md', 'Everything that can turn a request away')
  const named = [...section.matchAll(/hotcakes_requests_shed_total\{reason="(\w+)"\}/g)].map(([, reason]) => reason)
  assert.deepEqual(new Set(named), new Set(reasons))
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  const codes = rows.flatMap((row) => [...(row.split('|').at(-3) ?? '').matchAll(/`(\w+)`/g)].map(([, code]) => code))
  assert.deepEqual(new Set(codes), new Set<string | undefined>(problemCodes))
})

test('the table of what a client does with an answer has each problem of the API once', () => {
  const section = sectionOf('docs/API.md', 'What a client does with an answer')
  const answers = section.split('\n').flatMap((line) => (line.startsWith('|') ? [line.split('|')[1] ?? ''] : []))
  const codes = answers.flatMap((answer) => [...answer.matchAll(/`(\w+)`/g)].map(([, code = '']) => code))
  assert.deepEqual(codes.toSorted(), [...problemCodes].toSorted())
})

test('every alert leads to a heading of its own, which says what to do', () => {
  const { groups } = parse(readFileSync('ops/deploy/prometheus/alerting.rules.yml', 'utf8')) as { groups: AlertGroup[] }
  const alerts = groups.flatMap(({ rules }) => rules)
  assert.ok(alerts.length > 10)
  const places = alerts.map(({ alert, annotations }) => ({ alert, place: annotations.runbook_url ?? '' }))
  assert.deepEqual(
    places.filter(({ alert, place }) => place !== `docs/OPERATING.md#${slug(alert)}`),
    [],
  )
  assert.deepEqual(
    places.flatMap(({ place }) => brokenLink('README.md', place) ?? []),
    [],
  )
})

interface AlertGroup {
  readonly rules: readonly { readonly alert: string; readonly annotations: { readonly runbook_url?: string } }[]
}

interface Locked {
  readonly license?: string
  readonly dev?: boolean
}

test('THIRD-PARTY-LICENSES.md lists every package of an installation for production, with its licence', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> }
  const installed = Object.entries(lock.packages).flatMap(([path, { license, dev = false }]) => {
    return path === '' || dev ? [] : [{ name: path.replace(/^.*node_modules\//, ''), license }]
  })
  const rows = [...sectionOf('THIRD-PARTY-LICENSES.md', 'Packages').matchAll(/^\| `(.+)` \| (.+) \|$/gm)]
  const listed = new Map(rows.map(([, name = '', license = '']) => [name, license]))
  const used = new Set<string>()
  const wrong = installed.flatMap(({ name, license }) => {
    const row = listed.has(name) ? name : [...listed.keys()].find((key) => covers(key, name))
    if (row === undefined) return [`| \`${name}\` | ${license} | is missing`]
    used.add(row)
    // The lock file knows no licence of packages for other platforms than those that it was written on.
    return license === undefined || listed.get(row) === license ? [] : [`${name} is under ${license}`]
  })
  assert.deepEqual([...wrong, ...[...listed.keys()].filter((name) => !used.has(name)).map((name) => `no ${name}`)], [])
})

function covers(listed: string, name: string): boolean {
  return listed.endsWith('*') && name.startsWith(listed.slice(0, -1))
}

test('bench/reports/README.md says of the published reports what they were for, and of none that is not there', () => {
  const rows = sectionOfReports()
  const isListed = (file: string) => rows.some((row) => row.test(file))
  const stored = readdirSync('bench/reports').filter((file) => /-\d{8}T\d{6}Z-.*\.json$/.test(file))
  assert.ok(stored.length > 0)
  // The reports of a working copy are in the folder as well, so only those that are published have to be listed.
  const published = JSON.parse(readFileSync('bench/reports/published.json', 'utf8')) as string[]
  assert.deepEqual(
    published.filter((file) => !isListed(file)),
    [],
  )
  assert.deepEqual(
    rows.filter((row) => !stored.some((file) => row.test(file))),
    [],
  )
})

function sectionOfReports(): RegExp[] {
  const cells = [...documentAt('bench/reports/README.md').matchAll(/^\| (`.*\.json`) \|/gm)]
  return cells.flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([\w*.-]+)`/g)].map(([, glob = '']) => new RegExp(`^${glob.replaceAll('*', '.*')}$`)),
  )
}

test('the workflow runs .ci/run on Debian 12 and 13, with no secret and actions of a named version', () => {
  const text = readFileSync('.github/workflows/ci.yml', 'utf8')
  const { jobs } = parse(text) as { jobs: { test: { strategy: { matrix: { include: { image: string }[] } } } } }
  assert.deepEqual(
    jobs.test.strategy.matrix.include.map(({ image }) => image),
    ['node:22-bookworm-slim', 'node:22-trixie-slim'],
  )
  assert.match(text, /run: \.ci\/run$/m)
  assert.doesNotMatch(text, /secrets\./)
  for (const [, used = ''] of text.matchAll(/uses: (.+)/g)) assert.match(used, /^[\w/-]+@v\d+$/)
})

// Goal: npm run export writes the purchases of a sale whole or not at all, says what it has written, and refuses by name.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { Postgres } from '../core/postgres/connection.ts'
import { eventually } from './helpers/eventually.ts'
import { newRecord } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres } from './helpers/services.ts'
import { runTool } from './helpers/tool.ts'

const program = fileURLToPath(new URL('../ops/tools/export/main.js', import.meta.url))
const { connection: db } = await startPostgres({ after })
const redis = { host: '127.0.0.1', port: 1, user: 'nobody', password: 'none', tls: false } as const
const env = servicesEnv({ db, redis })
const sale = 7
const rows = 12_003

/** A sale of three shards, more of it than is read at once; and a buyer whose name wants quotes. */
function fill(t: TestContext): Postgres {
  const postgres = newRecord(t, db, { shards: 3 })
  postgres.query(`insert into sales select s, '2026-11-26 10:00+00', '2026-11-26 11:00+00', 20000, 10, 600, 3
    from unnest(array[${sale}, 8]) s`)
  postgres.query(
    `insert into purchases select $1::bigint, i, '2026-11-26 10:00+00'::timestamptz + i * interval '1 ms', 1, 1 + i / 100, i % 100,
       case i when 5 then 'a "b", c' else 'user-' || i end, 'N' || i
     from generate_series(1, $2::int) i order by md5(i::text)`,
    [sale, rows],
  )
  postgres.query(`insert into purchases values (8, 1, now(), 1, 900, 0, 'other', 'N')`)
  postgres.query('update log_offsets set epoch = 1, seq = 1000 + shard')
  return postgres
}

function run(args: readonly string[], settings: Readonly<Record<string, string>> = env) {
  return runTool(program, settings, args)
}

function exportTo(out: string, ...more: string[]) {
  return run(['--sale', String(sale), '--out', out, ...more])
}

const csv = ['--format', 'csv']

function shardOfItem(id: string): number {
  return (Number(id.split('-')[1]) - 1) % 3
}

test('both formats hold every purchase of the sale once, in the order of the logs, and the manifest says so', async (t) => {
  fill(t)
  const folder = temporaryFolder(t)
  for (const format of ['csv', 'ndjson']) {
    const out = join(folder, `sale.${format}`)
    const { status, stdout, stderr } = await exportTo(out, '--format', format)
    assert.equal(status, 0, stderr)
    const text = readFileSync(out, 'utf8')
    const sha256 = createHash('sha256').update(text).digest('hex')
    assert.equal(stdout, `${out}: ${rows} purchases, ${Buffer.byteLength(text)} bytes, sha256 ${sha256}\n`)
    const told = format === 'csv' ? csvRows(text) : ndjsonRows(text)
    assert.equal(new Set(told.map(({ item_id: id }) => id)).size, rows)
    const order = told.map(({ item_id: id, position }) => [shardOfItem(id ?? ''), ...placeOf(position ?? '')])
    assert.deepEqual(
      order,
      order.toSorted((a, b) => compare(a, b)),
    )
    assert.deepEqual(
      told.find(({ item_id: id }) => id === '7-5'),
      {
        position: '1:1-1-5',
        sale_id: '7',
        item_id: '7-5',
        user_id: 'a "b", c',
        purchased_at: '2026-11-26T10:00:00.005Z',
      },
    )
    const manifest = JSON.parse(readFileSync(`${out}.manifest.json`, 'utf8')) as Record<string, unknown>
    const { record, exported_at: at, version, ...facts } = manifest
    assert.match(String(record), /^[0-9a-f-]{36}$/)
    assert.ok(Date.parse(String(at)) > 0 && version !== undefined)
    assert.deepEqual(facts, {
      file: `sale.${format}`,
      format,
      columns: ['position', 'sale_id', 'item_id', 'user_id', 'purchased_at'],
      bytes: Buffer.byteLength(text),
      sha256,
      sale_id: sale,
      opens_at: '2026-11-26T10:00:00.000Z',
      closes_at: '2026-11-26T11:00:00.000Z',
      items: 20_000,
      purchases: rows,
      sale_is_over: isOver(),
      recorded_through: ['1-1000', '1:1-1001', '2:1-1002'],
    })
    const sums = spawnSync('sha256sum', ['-c', `sale.${format}.sha256`], { cwd: folder, encoding: 'utf8' })
    assert.equal(sums.stdout, `sale.${format}: OK\n`)
  }
  assert.equal(readdirSync(folder).length, 6, 'nothing else is left')
  // The same record gives the same bytes.
  const again = join(folder, 'again.csv')
  assert.equal((await exportTo(again, ...csv)).status, 0)
  assert.deepEqual(readFileSync(again), readFileSync(join(folder, 'sale.csv')))
})

/** The sale's last hold ended at 11:10. */
function isOver(): boolean {
  return Date.now() > Date.parse('2026-11-26T11:10:00Z')
}

function placeOf(position: string): number[] {
  return position.replace(/^\d+:/, '').split('-').map(Number)
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, place) => value !== b[place])
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

function ndjsonRows(text: string): Record<string, string>[] {
  const objects = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  return objects.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])))
}

/** By the rules of RFC 4180. */
function csvRows(text: string): Record<string, string>[] {
  const [names = [], ...lines] = text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const fields = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,"]*))/g)]
      return fields.map(([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain)
    })
  return lines.map((fields) => Object.fromEntries(fields.map((field, at) => [names[at] ?? '', field])))
}

test('nothing is written over a file that is there, unless --force says so', async (t) => {
  fill(t)
  const folder = temporaryFolder(t)
  const out = join(folder, 'sale.csv')
  for (const taken of [out, `${out}.sha256`, `${out}.manifest.json`]) {
    writeFileSync(taken, 'mine')
    const { status, stderr } = await exportTo(out, ...csv)
    assert.equal(status, 4)
    assert.equal(stderr, `hotcakes export: ${taken} is there already: --force replaces it\n`)
    assert.equal(readFileSync(taken, 'utf8'), 'mine')
    assert.deepEqual(readdirSync(folder).length, 1)
    assert.equal((await exportTo(out, ...csv, '--force')).status, 0)
    assert.equal(readdirSync(folder).length, 3)
    assert.notEqual(readFileSync(taken, 'utf8'), 'mine')
    for (const name of readdirSync(folder)) spawnSync('rm', [join(folder, name)])
  }
  symlinkSync(join(folder, 'nowhere'), out)
  assert.equal((await exportTo(out, ...csv)).status, 4, 'a link is there as well')
})

test('what can not be written or read leaves nothing behind, and each has its exit status', async (t) => {
  const postgres = fill(t)
  const folder = temporaryFolder(t)
  const out = join(folder, 'sale.csv')
  const unknown = await run(['--sale', '9', '--out', out, ...csv])
  assert.deepEqual([unknown.status, unknown.stderr], [3, 'hotcakes export: no sale 9 is on record\n'])
  assert.deepEqual(readdirSync(folder), [])

  const noFolder = await exportTo(join(folder, 'none', 'sale.csv'), ...csv)
  assert.equal(noFolder.status, 1)
  assert.match(noFolder.stderr, /ENOENT: no such file or directory/)
  mkdirSync(join(folder, 'folder'))
  assert.equal((await exportTo(join(folder, 'folder'), ...csv)).status, 4)
  const forced = await exportTo(join(folder, 'folder'), ...csv, '--force')
  assert.equal(forced.status, 1)
  assert.match(forced.stderr, /EISDIR|ENOTEMPTY|EEXIST/)
  assert.deepEqual(readdirSync(folder), ['folder'])

  const away = await run(['--sale', '7', '--out', out, ...csv], { ...env, DB_PORT: '1' })
  assert.equal(away.status, 1)
  assert.match(away.stderr, /HC_POSTGRES_UNAVAILABLE/)
  const wrong = await run(['--sale', '7', '--out', out, ...csv], { ...env, DB_PORT: 'x' })
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /HC_CONFIG.*DB_PORT/)
  // Postgres fails in the middle.
  postgres.query(`alter table purchases alter column purchased_at type text using purchased_at::text`)
  postgres.query(`update purchases set purchased_at = 'no time' where item_index = 12000`)
  postgres.query(`alter table purchases rename to told; create view purchases as select sale_id, item_index,
    purchased_at::timestamptz as purchased_at, epoch, batch, n, user_id, nonce from told`)
  postgres.query('grant select on purchases to public')
  const failed = await exportTo(out, ...csv)
  assert.equal(failed.status, 1)
  assert.match(failed.stderr, /HC_POSTGRES_REFUSED/)
  assert.deepEqual(readdirSync(folder), ['folder'])
})

test('whoever interrupts it finds nothing of it', async (t) => {
  const postgres = fill(t)
  const folder = temporaryFolder(t)
  // It waits for this lock with its file begun.
  postgres.query('begin; lock table purchases in access exclusive mode')
  const args = [program, '--sale', String(sale), '--out', join(folder, 'sale.csv'), ...csv]
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'close')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (words: string) => (said += words))
  t.after(() => child.kill('SIGKILL'))
  const waiting = `select from pg_locks where not granted and relation = 'purchases'::regclass`
  await eventually(() => postgres.query(waiting).length === 1)
  assert.equal(readdirSync(folder).length, 1)
  child.kill('SIGTERM')
  await eventually(() => said.includes('ends after what is being read'))
  postgres.query('commit')
  assert.deepEqual(await exited, [1, null])
  assert.match(said, /\nhotcakes export: interrupted: nothing is written\n$/)
  assert.deepEqual(readdirSync(folder), [])
})

test('each argument has its own refusal', async (t) => {
  const out = join(temporaryFolder(t), 'sale.csv')
  for (const [args, reason] of [
    [['--out', out, ...csv], /--sale is needed/],
    [['--sale', '7', ...csv], /--out is needed/],
    [['--sale', '7', '--out', out], /--format is needed/],
    [['--sale', 'x', '--out', out, ...csv], /--sale must be a whole number from 0/],
    [['--sale', '-1', '--out', out, ...csv], /--sale/],
    [['--sale', '9'.repeat(16), '--out', out, ...csv], /--sale must be a whole number/],
    [['--sale', '7', '--out', out, '--format', 'parquet'], /--format must be one of csv, ndjson/],
    [['--sale', '7', '--out', '', ...csv], /--out must be the name of a file/],
    [['--sale', '7', '--out', 'folder/', ...csv], /--out must be the name of a file/],
    [['--sale', '7', '--out', out, ...csv, 'more'], /more/],
  ] as const) {
    const { status, stdout, stderr } = await run(args)
    assert.deepEqual([status, stdout], [2, ''], stderr)
    assert.match(stderr, reason)
    assert.match(stderr, /npm run export -- --help shows what there is/)
  }
})

// Goal: npm run retire takes days out of the record so that nothing is lost, says what it has done, and refuses by name.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import type { Postgres } from '../core/postgres/connection.ts'
import { dailyTables, partitionName } from '../core/postgres/daily-tables.ts'
import { retireCommand } from '../ops/tools/retire/command.ts'
import { DayUnsound } from '../ops/tools/retire/refusals.ts'
import { verifyArchives } from '../ops/tools/retire/verify.ts'
import { runAudit, runAuditJson } from './helpers/audit.ts'
import { auditHere } from './helpers/audit-here.ts'
import { dayAgo } from './helpers/past-days.ts'
import { refusalOf } from './helpers/refusal.ts'
import {
  countsOfSales,
  drain,
  type PastShop,
  partitionedDays,
  retireHere,
  runRetire,
  startPastShop,
} from './helpers/retire.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres } from './helpers/services.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'

const { connection: db } = await startPostgres({ after })

async function start(t: TestContext, options: { days?: number; bulkRows?: number } = {}) {
  const shop = await startPastShop(t, db, options)
  return { ...shop, env: servicesEnv({ db, redis: shop.redis }), folder: temporaryFolder(t) }
}

function archive({ env, folder, past }: PastShop & { env: Record<string, string>; folder: string }, ...more: string[]) {
  return runRetire(env, ['--before', past.end, '--archive', folder, ...more])
}

function rowsOf(postgres: Postgres, table: string): string[] {
  return postgres.query<{ row: string }>(`select t::text as row from ${table} t order by 1`).map(({ row }) => row)
}

test('days go into files that hold every row, and the record tells of their sales what it told before', async (t) => {
  const shop = await start(t)
  const { postgres, past, env, folder } = shop
  const before = await auditHere(env)
  assert.equal(before.verdict, 'passed', JSON.stringify(before.checks))
  const counts = countsOfSales(postgres, past.sales)
  const days = partitionedDays(postgres)
  const rows = new Map(
    past.days.flatMap((day) =>
      dailyTables.map((table) => [partitionName(table, day), rowsOf(postgres, partitionName(table, day))]),
    ),
  )

  const dry = await archive(shop, '--dry-run')
  assert.equal(dry.status, 0, dry.stderr)
  assert.deepEqual(
    dry.stdout.split('\n').map((line) => line.split(/ +/)[0]),
    ['day', ...past.days, 'all', ''],
  )
  assert.deepEqual([partitionedDays(postgres), readdirSync(folder)], [days, []])

  const done = await archive(shop)
  assert.equal(done.status, 0, done.stderr)
  assert.deepEqual(
    done.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.replaceAll(/\d+ (rows|bytes)/g, 'N $1')),
    past.days.map((day) => `${day}: N rows archived in N bytes and dropped, N bytes of Postgres are free`),
  )
  assert.deepEqual(
    partitionedDays(postgres),
    days.filter((day) => day >= past.end),
  )
  assert.deepEqual(countsOfSales(postgres, past.sales), counts)

  const audited = await runAuditJson(env)
  assert.equal(audited.verdict, 'passed', JSON.stringify(audited.checks))
  assert.deepEqual(
    [audited.attempts, audited.unlisted, audited.sales],
    [before.attempts, before.unlisted, before.sales],
  )
  assert.equal(audited.retired?.days, past.days.length)
  const { stdout } = await runAudit(env)
  assert.match(
    stdout,
    new RegExp(`3 days are retired, from ${past.days[0]} to ${past.days[2]}: the rows of \\d+ of these`),
  )

  // Everything can be read back, and put into a table beside by the commands of docs/OPERATING.md.
  loadByDocument(past.days[0] ?? '', folder)
  const archived = rows.get(partitionName('checkout_attempts', past.days[0] ?? ''))
  assert.deepEqual(rowsOf(postgres, 'looked_at'), archived)
  for (const day of past.days) {
    const sums = spawnSync('sha256sum', ['-c', `${day}.sha256`], { cwd: folder, encoding: 'utf8' })
    assert.equal(sums.status, 0, sums.stdout)
    for (const table of dailyTables) {
      const data = gunzipSync(readFileSync(join(folder, `${day}.${table}.copy.gz`)))
      postgres.query(`create table back (like ${table})`)
      postgres.copyIn('copy back from stdin', [data])
      assert.deepEqual(rowsOf(postgres, 'back'), rows.get(partitionName(table, day)))
      postgres.query('drop table back')
    }
  }
  const again = await archive(shop)
  assert.deepEqual([again.status, again.stdout], [0, 'there is no such day on record\n'])
})

function loadByDocument(day: string, folder: string): void {
  const [, section = ''] = readFileSync('docs/OPERATING.md', 'utf8').split('**A day back, into a table beside**')
  const script = /```sh\n(.*?)```/s.exec(section)?.[1]?.replaceAll('/srv/archive', folder).replaceAll('2026-10-31', day)
  assert.ok(script)
  const { host, port, name, ownerUser, ownerPassword } = db
  const env = { PGHOST: host, PGPORT: String(port), PGDATABASE: name, PGUSER: ownerUser, PGPASSWORD: ownerPassword }
  const loaded = spawnSync('sh', ['-eu'], {
    input: script,
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
  })
  assert.equal(loaded.status, 0, loaded.stderr)
}

function withoutTables(manifest: string): string {
  return JSON.stringify({ ...(JSON.parse(manifest) as object), tables: [] })
}

test('archives can be looked at later, without a database, and each kind of damage is named', async (t) => {
  const shop = await start(t, { days: 2 })
  const { folder, past } = shop
  assert.equal((await archive(shop)).status, 0)
  const good = await runRetire({}, ['--verify', folder])
  assert.equal(good.status, 0, good.stderr)
  assert.deepEqual(good.stdout.match(/^\S+: \d+ rows, as its manifest says$/gm)?.length, 2)

  const [day = ''] = past.days
  const file = join(folder, `${day}.checkout_attempts.copy.gz`)
  const bytes = readFileSync(file)
  const manifest = join(folder, `${day}.manifest.json`)
  const text = readFileSync(manifest, 'utf8')
  const restore = () => {
    writeFileSync(file, bytes)
    writeFileSync(manifest, text)
  }
  for (const [harm, words] of [
    [() => writeFileSync(file, bytes.subarray(0, -1)), /DAMAGED: \S+ can not be read: unexpected end of file/],
    [() => rmSync(file), /DAMAGED: \S+ can not be read: ENOENT/],
    [() => writeFileSync(file, readFileSync(join(folder, `${day}.purchase_attempts.copy.gz`))), /another checksum/],
    [() => writeFileSync(manifest, text.replace(/"rows": \d+/, '"rows": 3')), /holds other rows/],
    [() => writeFileSync(manifest, text.replace(`${day}.checkout`, `../${day}.checkout`)), /is no manifest/],
    [() => writeFileSync(manifest, text.slice(0, -9)), /is no manifest/],
    [() => writeFileSync(manifest, readFileSync(join(folder, `${past.days[1]}.manifest.json`))), /its manifest is of/],
    [() => writeFileSync(manifest, withoutTables(text)), /checkout_attempts\S+: DAMAGED: there is no manifest for it/],
    [() => rmSync(manifest), /DAMAGED: there is no manifest for it/],
  ] as const) {
    harm()
    const said: string[] = []
    const { damaged } = await verifyArchives(folder, (line) => said.push(line))
    const all = said.join('\n')
    assert.ok(damaged > 0, all)
    assert.match(all, words)
    assert.match(all, new RegExp(`^${past.days[1]}: \\d+ rows, as its manifest says$`, 'm'))
    restore()
  }
  rmSync(file)
  const bad = await runRetire({}, ['--verify', folder])
  assert.equal(bad.status, 5, bad.stdout)
  assert.match(bad.stdout, new RegExp(`^${day}: DAMAGED: \\S+ can not be read: ENOENT`, 'm'))
  assert.match(bad.stdout, new RegExp(`^${past.days[1]}: \\d+ rows, as its manifest says$`, 'm'))
  const empty = await runRetire({}, ['--verify', temporaryFolder(t)])
  assert.deepEqual(
    [empty.status, empty.stderr],
    [5, 'hotcakes retire: there is no manifest of an archive in the folder\n'],
  )
  const nowhere = join(folder, 'none')
  const none = await runRetire({}, ['--verify', nowhere])
  assert.deepEqual([none.status, none.stderr], [5, `hotcakes retire: there is no folder ${nowhere}\n`])
})

test('without an archive the rows are dropped only when that is said', async (t) => {
  const { env, past, postgres, folder } = await start(t, { days: 1 })
  const asked = await runRetire(env, ['--before', past.end])
  assert.equal(asked.status, 2)
  assert.match(asked.stderr, /--archive DIR is needed; or --drop, after which nobody has the rows/)
  assert.equal((await runRetire(env, ['--before', past.end, '--drop', '--archive', folder])).status, 2)
  const counts = countsOfSales(postgres, past.sales)
  const { status, stdout } = await runRetire(env, ['--before', past.end, '--drop'])
  assert.equal(status, 0)
  assert.match(stdout, new RegExp(`^${past.days[0]}: \\d+ rows dropped, `))
  assert.deepEqual(countsOfSales(postgres, past.sales), counts)
  assert.equal((await auditHere(env)).verdict, 'passed')
})

test('a day that is still needed stays, and the latest that may go is named', async (t) => {
  const { env, past, postgres, buyers, redis, folder } = await start(t, { days: 1 })
  const days = partitionedDays(postgres)
  const to = ['--archive', folder]
  const refused = async (before: string, words: RegExp, settings = env) => {
    const { status, stderr } = await runRetire(settings, ['--before', before, ...to])
    assert.match(stderr, words)
    return status
  }
  for (const ago of [0, -1])
    assert.match(refusalOf(retireCommand, ['--before', dayAgo(ago), ...to]), /^--before must be a day that is over/)
  postgres.query(
    `update sales set opens_at = now() - interval '20 days', closes_at = now() + interval '1 hour' where sale_id = 2`,
  )
  assert.equal(
    await refused(past.end, new RegExp(`the sale 2 is not over: --before ${dayAgo(20)}|${dayAgo(21)} is the latest`)),
    3,
  )
  postgres.query(`update sales set closes_at = now() - interval '1 hour' where sale_id = 2`)

  const store = buyers.store
  const { nowMs } = await store.logState()
  const opensAtMs = nowMs - 30 * 86_400_000
  const terms = { sale: 77, opensAtMs, closesAtMs: nowMs - 60_000, items: 9, userLimit: 1, holdMs: 1_000, shards: 1 }
  await store.openSale(terms, 86_400)
  assert.equal(await refused(past.end, /Redis still lists the sale 77: --before/), 3)

  assert.equal(await refused(past.end, /HC_REDIS_UNAVAILABLE/, { ...env, REDIS_PORT: '1' }), 1)
  assert.equal(await refused(past.end, /HC_POSTGRES_UNAVAILABLE/, { ...env, DB_PORT: '1' }), 1)
  const service = { ...env, DB_OWNER_USER: '', DB_OWNER_PASSWORD: '' }
  assert.equal(
    await refused(past.end, /user hotcakes may not drop a partition: set DB_OWNER_USER=hotcakes_owner/, service),
    1,
  )
  assert.equal(redis.user, 'hotcakes')
  const nowhere = await runRetire(env, ['--before', past.end, '--archive', join(folder, 'none')])
  assert.deepEqual(
    [nowhere.status, nowhere.stderr],
    [5, `hotcakes retire: there is no folder ${join(folder, 'none')}\n`],
  )
  assert.deepEqual([partitionedDays(postgres), readdirSync(folder)], [days, []])
})

test('while the log has old entries, their days stay', async (t) => {
  const { env, past, postgres, buyers, folder, admin } = await start(t, { days: 1 })
  const clock = await stepRedisClock(admin)
  await clock.set(Date.parse(`${past.days[0]}T12:00:00Z`) - Date.now())
  await buyers.checkOut(1)
  await clock.set(0)
  const { status, stderr } = await runRetire(env, ['--before', past.end, '--archive', folder])
  assert.deepEqual([status, partitionedDays(postgres)[0]], [3, past.days[0]])
  assert.match(stderr, /the log has entries that are not in Postgres yet/)
})

test('a day whose rows are not what was decided stays, and what is wrong is said', async (t) => {
  const shop = await start(t, { days: 1 })
  const { postgres, past, folder, redis } = shop
  const checkouts = partitionName('checkout_attempts', past.days[0] ?? '')
  const tries = partitionName('purchase_attempts', past.days[0] ?? '')
  const tables = [checkouts, tries, 'purchases', 'sales']
  const whilePlanted = async (plant: string, act: () => Promise<void>) => {
    postgres.query('begin; create schema kept')
    for (const table of tables) postgres.query(`create table kept.${table} as table ${table}`)
    postgres.query(`commit; ${plant}`)
    await act()
    for (const table of tables) postgres.query(`delete from ${table}; insert into ${table} select * from kept.${table}`)
    postgres.query('drop schema kept cascade')
    for (const name of readdirSync(folder)) rmSync(join(folder, name))
  }
  for (const [plant, words] of [
    [`delete from ${checkouts} where outcome = 7 and sale_id = 1`, /1 log entries of which an attempt is missing/],
    [
      `insert into ${checkouts} select * from ${checkouts} where outcome = 7`,
      /2 log entries of which an attempt .*there twice/,
    ],
    [
      `update ${tries} set user_id = 'eve' where outcome = 21 and item_index = 1`,
      /1 accepted .* no purchases; 1 purchases that were not accepted/,
    ],
    [
      'delete from purchases where item_index = 1 and sale_id = 1',
      /1 accepted purchase attempts that are no purchases/,
    ],
    [
      `update ${checkouts} set user_id = 'eve' where outcome = 1 and item_index = 2 and sale_id = 1`,
      /1 purchases by nobody who held/,
    ],
    [
      `update ${checkouts} set nonce = 'other' where outcome = 1 and item_index = 2 and sale_id = 1`,
      /1 purchases by nobody who held/,
    ],
    ['delete from sales where sale_id = 1', /1 sales that its attempts name and that are not on record/],
  ] as const) {
    await whilePlanted(plant, async () => {
      const asked = { beforeMs: Date.parse(`${past.end}T00:00:00Z`), archive: folder }
      const refused = await retireHere({ db, redis }, asked).catch((error: unknown) => error)
      assert.ok(refused instanceof DayUnsound, String(refused))
      assert.match(refused.message, words)
    })
  }
  await whilePlanted(`delete from ${checkouts} where outcome = 7 and sale_id = 1`, async () => {
    const { status, stderr } = await archive(shop)
    assert.equal(status, 4, stderr)
    assert.match(stderr, /1 log entries of which an attempt is missing/)
  })
  assert.equal((await archive(shop)).status, 0)
})

test('rows that come late are a second part of their day, and the audit goes on to pass', async (t) => {
  const shop = await start(t, { days: 1 })
  const { postgres, past, buyers, env, folder, redis, admin } = shop
  assert.equal((await archive(shop)).status, 0)
  const day = past.days[0] ?? ''
  // A clock that was set back by days, and is right again.
  const clock = await stepRedisClock(admin)
  await clock.set(Date.parse(`${day}T12:00:00Z`) - Date.now())
  await buyers.checkOut(2)
  await clock.set(0)
  await drain(t, { db, redis })
  assert.equal(partitionedDays(postgres)[0], day)
  const counts = countsOfSales(postgres, past.sales)
  const done = await archive(shop)
  assert.equal(done.status, 0, done.stderr)
  assert.match(done.stdout, new RegExp(`^${day}-part2: 2 rows archived`))
  assert.ok(readdirSync(folder).includes(`${day}-part2.manifest.json`))
  assert.deepEqual(countsOfSales(postgres, past.sales), counts)
  const audited = await auditHere(env)
  assert.equal(audited.verdict, 'passed', JSON.stringify(audited.checks))
})

test('an archive that is there is taken for what it is', async (t) => {
  const shop = await start(t, { days: 1 })
  const { postgres, past, folder } = shop
  const day = past.days[0] ?? ''
  assert.equal((await archive(shop)).status, 0)
  const names = readdirSync(folder)
  const manifest = join(folder, `${day}.manifest.json`)
  const text = readFileSync(manifest, 'utf8')
  // As after Postgres was put back to a copy of before.
  const back = (more = '') => {
    postgres.query(`delete from retired_days; delete from retired_counts; delete from retired_batches`)
    postgres.query(`select ensure_attempts_partitions('${day}')`)
    for (const table of dailyTables) {
      const data = gunzipSync(readFileSync(join(folder, `${day}.${table}.copy.gz`)))
      const partition = partitionName(table, day)
      postgres.copyIn(`copy ${partition} from stdin`, [data])
    }
    postgres.query(more === '' ? 'select' : more)
  }
  back()
  const written = readFileSync(join(folder, `${day}.checkout_attempts.copy.gz`))
  const same = await archive(shop)
  assert.equal(same.status, 0, same.stderr)
  assert.deepEqual(
    [readdirSync(folder), readFileSync(join(folder, `${day}.checkout_attempts.copy.gz`))],
    [names, written],
  )

  back(`delete from checkout_attempts where sale_id = 1 and outcome = 3`)
  const other = await archive(shop)
  assert.equal(other.status, 5)
  assert.match(other.stderr, /the archive of \S+ has other rows than Postgres: move it away/)
  writeFileSync(manifest, text.replace(/"record": "[0-9a-f]+/, '"record": "0'))
  const foreign = await archive(shop)
  assert.equal(foreign.status, 5)
  assert.match(foreign.stderr, /of another record: choose another folder/)
  assert.equal(partitionedDays(postgres)[0], day)
})

test('a partition that is not of one day is left alone', async (t) => {
  const shop = await start(t, { days: 1 })
  const { postgres, past } = shop
  postgres.query(`create table checkout_attempts_20200101 partition of checkout_attempts
    for values from ('2020-01-01 00:00+00') to ('2020-02-01 00:00+00')`)
  const { status, stderr } = await archive(shop)
  assert.equal(status, 1)
  assert.match(stderr, /HC_SCHEMA: the partition checkout_attempts_20200101 is not of the day of its name/)
  assert.ok(partitionedDays(postgres).includes(past.days[0] ?? ''))
})

test('each argument has its own refusal', async () => {
  for (const [args, reason] of [
    [['--drop'], /--before is needed/],
    [['--before', '2026-1-1', '--drop'], /--before must be a day, like/],
    [['--verify', 'x', '--drop'], /--verify goes with no other option/],
  ] as const) {
    const { status, stdout, stderr } = await runRetire({}, args)
    assert.deepEqual([status, stdout], [2, ''], stderr)
    assert.match(stderr, reason)
  }
  for (const [args, message] of [
    [['--before', '2026-02-30', '--drop'], /^--before must be a day, like/],
    [['--before', 'x', '--drop'], /^--before must be a day, like/],
    [['--before', '9999-01-01', '--drop'], /^--before must be a day that is over/],
    [['--before', '2026-01-01', '--archive', ''], /^--archive must be the name of a folder/],
    [['--before', '2026-01-01', '--drop', 'more'], /more/],
  ] as const)
    assert.match(refusalOf(retireCommand, args), message)
})

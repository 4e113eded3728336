// Goal: the service works with the rights that docs/ACCESS.md gives it, on servers of the operator's own, and has no others.
// Method: the commands of that page, run as they stand there, on a Redis and a PostgreSQL that knew nothing of us.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { connectPostgres, type Postgres } from '../core/postgres/connection.ts'
import { shardKeys } from '../core/redis/keys.ts'
import { assertRights, loadLibrary } from '../core/redis/library.ts'
import { librarySource } from '../core/redis/library-source.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import type { EmbeddedPostgres, EmbeddedRedis } from '../ops/embedded/facts.ts'
import { runAuditJson } from './helpers/audit.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { listeningAddresses } from './helpers/listeners.ts'
import { processTree } from './helpers/processes.ts'
import { emptyDatabase, migrateNow, schemaFolder } from './helpers/record.ts'
import { runRetire } from './helpers/retire.ts'
import { createFolder, removeFolder, type Scope } from './helpers/scope.ts'
import { commandTimeoutMs, openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const root = process.cwd()
const { prefix, sales, log } = shardKeys(firstShard)
const documented = readFileSync(join(root, 'docs/ACCESS.md'), 'utf8')
const passwords = {
  owner: 'of-the-owner',
  service: "of 'the' $service",
  audit: 'of-the-audit',
  reader: 'of-the-reader',
}

const redisService = await startRedis({ after })
const admin = await openRedis({ after }, redisService.admin)
const redis: EmbeddedRedis = { ...redisService.connection, user: 'hotcakes', password: passwords.service }
const { db, superuser } = await startForeignPostgres()

/** Runs the page's commands of a chapter. */
function runDocumented(chapter: string, env: Record<string, string>): void {
  const text = documented.split(/^## /m).find((part) => part.startsWith(chapter)) ?? ''
  const script = /```sh\n(.*?)```/s.exec(text)?.[1]
  assert.ok(script)
  execFileSync('sh', ['-eu'], { cwd: root, input: script, env: { PATH: process.env['PATH'], ...env }, stdio: 'pipe' })
}

/** One with its superuser, and nothing of hotcakes in it. */
async function startForeignPostgres() {
  const folder = createFolder()
  const service = await startPostgres({ after }, { folder, isWhole: true })
  after(() => removeFolder(folder))
  const rules = ['host all postgres 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256']
  appendFileSync(join(folder, 'postgres', 'pg_hba.conf'), `${rules.join('\n')}\n`)
  process.kill(service.pid(), 'SIGHUP')
  const roles = {
    user: 'hotcakes',
    password: passwords.service,
    ownerUser: 'hotcakes_owner',
    ownerPassword: passwords.owner,
  }
  const foreign: EmbeddedPostgres = { ...service.connection, ...roles }
  const asSuperuser = { ...foreign, user: 'postgres', password: '', name: 'postgres' }
  const connection = await eventually(() => connectPostgres(asSuperuser, { applicationName: 'hotcakes test' }))
  after(() => connection.close())
  connection.query('drop database hotcakes')
  connection.query('drop role hotcakes, hotcakes_owner')
  return { db: foreign, superuser: connection }
}

function openAs(scope: Scope, user: string, password: string): Postgres {
  const postgres = connectPostgres({ ...db, user, password }, { applicationName: 'hotcakes test' })
  scope.after(() => postgres.close())
  return postgres
}

function makeUsers(): void {
  const at = { REDIS_HOST: redis.host, REDIS_PORT: String(redis.port), REDISCLI_AUTH: redisService.admin.password }
  runDocumented('Redis', { ...at, REDIS_PASSWORD: passwords.service, REDIS_AUDIT_PASSWORD: passwords.audit })
}

function makeRoles(): void {
  runDocumented('PostgreSQL', {
    DB_HOST: db.host,
    DB_PORT: String(db.port),
    HOTCAKES_OWNER_PASSWORD: passwords.owner,
    HOTCAKES_PASSWORD: passwords.service,
    HOTCAKES_AUDIT_PASSWORD: passwords.audit,
    HOTCAKES_READER_PASSWORD: passwords.reader,
  })
}

test('with the documented users and roles the server sells, and the audit reads', async (t) => {
  makeUsers()
  makeRoles()
  await admin.call('ACL', 'LOG', 'RESET')
  const env = { ...servicesEnv({ db, redis }), APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
  const first = await startCluster(t, { env })
  const addresses = listeningAddresses(Number(new URL(first.metricsUrl).port))
  assert.ok(addresses.includes('127.0.0.1'))
  for (const address of addresses) assert.ok(['127.0.0.1', '::1'].includes(address), address)
  const sale = await currentSale(first)
  const code = codeOf(await first.http.post(checkoutPath('ann', `${sale}-1`)))
  assert.equal((await first.http.post(purchasePath(code))).status, 200)
  process.kill(first.pid, 'SIGHUP')
  await eventually(() => first.logLines().some((line) => /"reloaded"/.test(line)), {
    what: 'a reload',
  })
  assert.deepEqual(
    first.logLines().filter((line) => /take effect at the next start/.test(line)),
    [],
  )
  for (const pid of processTree(first.pid).filter((each) => each !== first.pid))
    assert.ok(!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(passwords.owner), `process ${pid}`)
  assert.equal((await first.stop()).code, 0)

  makeUsers() // repeated, as for an upgrade
  makeRoles()
  const second = await startCluster(t, { env: { ...env, DB_OWNER_USER: '', DB_OWNER_PASSWORD: '' } })
  codeOf(await second.http.post(checkoutPath('ann', `${sale}-2`)))
  const auditor = { REDIS_USER: 'hotcakes_audit', REDIS_PASSWORD: passwords.audit }
  const audit = { ...env, ...auditor, DB_USER: 'hotcakes_audit', DB_PASSWORD: passwords.audit }
  assert.equal((await runAuditJson(audit)).verdict, 'passed')
  const retired = await runRetire(audit, ['--before', '2020-01-01', '--drop'])
  assert.deepEqual([retired.stdout, retired.status], ['there is no such day on record\n', 0], retired.stderr)
  assert.equal((await second.stop()).code, 0)

  const turnedAway = (await admin.call('ACL', 'LOG')) as unknown[]
  assert.deepEqual(turnedAway, [])
})

test('the service may do nothing else at Redis, and the audit may only read', async (t) => {
  const service = await openRedis(t, redis)
  const auditor = await openRedis(t, { ...redis, user: 'hotcakes_audit', password: passwords.audit })
  const refused = { message: /^NOPERM/ }
  for (const command of [
    'FLUSHALL',
    'FLUSHDB',
    'KEYS *',
    'SCAN 0',
    'CONFIG SET appendonly no',
    'CONFIG REWRITE',
    'SHUTDOWN',
    'SAVE',
    'BGREWRITEAOF',
    'REPLICAOF NO ONE',
    'MONITOR',
    'CLIENT LIST',
    'CLIENT KILL TYPE normal',
    'ACL LIST',
    'ACL WHOAMI',
    'EVAL return 0',
    'FUNCTION FLUSH',
    'FUNCTION DUMP',
    'MODULE LIST',
    'SWAPDB 0 1',
    `RENAME ${log} other`,
    'HGET elsewhere field',
    'HSET elsewhere field value',
    'DEL elsewhere',
    'PUBLISH elsewhere word',
    `RESTORE ${prefix}x 0 x`,
  ]) {
    const [name = '', ...args] = command.split(' ')
    await assert.rejects(service.call(name, ...args), refused, command)
    await assert.rejects(auditor.call(name, ...args), refused, command)
  }
  for (const command of [`HSET ${sales} x y`, `FCALL any 1 ${sales}`, `XTRIM ${log} MAXLEN 0`]) {
    const [name = '', ...args] = command.split(' ')
    await assert.rejects(auditor.call(name, ...args), refused, command)
  }
})

test('every right at Redis is one that the code uses', () => {
  const inFolder = readdirSync(join(root, 'core/redis'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|lua)$/.test(name) && !name.endsWith('.test.ts'))
    .map((name) => join('core/redis', name))
  const code = [...inFolder, 'workers/log-reader.ts'].map((name) => readFileSync(join(root, name), 'utf8')).join('\n')
  const acl = readFileSync(join(root, 'ops/deploy/redis/users.acl'), 'utf8').split('\n')[0] ?? ''
  const byItself = new Set(['client|setname']) // ioredis, as it connects
  const unused = [...acl.matchAll(/ \+(\S+)/g)].flatMap(([, right = '']) => {
    const [command = '', part] = right.split('|')
    const isCalled = new RegExp(`'${command}'|\\.${command}(Buffer)?\\(`, 'i').test(code)
    const isPartUsed = part === undefined || new RegExp(`'${part}'`, 'i').test(code)
    return (isCalled && isPartUsed) || byItself.has(right) ? [] : [right]
  })
  assert.deepEqual(unused, [])
})

test('every test that SECURITY.md and docs/ACCESS.md name is there', () => {
  const text = readFileSync(join(root, 'SECURITY.md'), 'utf8') + documented
  const named = [...text.matchAll(/`([a-z/-]+\.test\.ts)`/g)].map(([, file = '']) => file)
  assert.ok(named.length > 20)
  assert.deepEqual(
    named.filter((file) => !existsSync(join(root, file))),
    [],
  )
})

test('a right that is missing is named, and nothing is decided without it', async (t) => {
  await admin.call('ACL', 'SETUSER', 'hotcakes', '-xadd', '-hset')
  t.after(makeUsers)
  const store = new SaleStore(redis, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
  t.after(() => store.close())
  await assert.rejects(store.connect(), { code: 'HC_REDIS_REFUSED', message: /lacks the right to HSET, XADD/ })
})

test('each command of the functions is one whose missing right is found', async (t) => {
  await loadLibrary(admin)
  makeUsers()
  const commands = new Set([...librarySource.matchAll(/\bcall\('([A-Z]+)'/g)].map(([, name = '']) => name))
  assert.ok(commands.size > 20)
  for (const command of commands) {
    const right = command === 'XINFO' ? 'xinfo|stream' : command
    await admin.call('ACL', 'SETUSER', 'hotcakes', `-${right}`)
    const service = await openRedis(t, redis)
    const refusal = { code: 'HC_REDIS_REFUSED', message: new RegExp(`lacks the right to ${command}: `) }
    await assert.rejects(assertRights(service, shardKeys(firstShard)), refusal, command)
    await admin.call('ACL', 'SETUSER', 'hotcakes', `+${right}`)
  }
  await assertRights(await openRedis(t, redis), shardKeys(firstShard)) // all of them are back
  makeUsers()
})

const unchangeable = [
  'purchases',
  'checkout_attempts',
  'purchase_attempts',
  'release_attempts',
  'right_transfers',
  'log_epochs',
  'audits',
  'retired_days',
  'retired_batches',
  'retired_counts',
  'outcomes',
  'schema_migrations',
]

test('the service adds to the record and can change none of it; readers read', async (t) => {
  makeRoles()
  await migrateNow(db, schemaFolder)
  const service = openAs(t, 'hotcakes', passwords.service)
  const reader = openAs(t, 'hotcakes_reader', passwords.reader)
  const auditor = openAs(t, 'hotcakes_audit', passwords.audit)
  const refused = { code: 'HC_POSTGRES_REFUSED', sqlState: '42501' }
  const changes = unchangeable.flatMap((table) => [
    `delete from ${table}`,
    `truncate ${table}`,
    `drop table ${table}`,
    `alter table ${table} add column x int`,
  ])
  const others = [
    'update purchases set user_id = user_id',
    'update checkout_attempts set n = n',
    'update log_epochs set run = run',
    'insert into log_offsets (shard, epoch, seq) values (63, 0, 0)',
    'create table mine ()',
    'create temporary table mine ()',
    'create schema mine',
    'create role mine',
    'create database mine',
    'select * from pg_authid',
    'delete from log_offsets',
    "select pg_read_file('/etc/passwd')",
    "copy outcomes to '/tmp/x'",
    'select lo_export(1, $$/tmp/x$$)',
    'alter role current_user superuser',
    'set role hotcakes_owner',
  ]
  for (const statement of [...changes, ...others]) {
    for (const postgres of [service, reader, auditor])
      assert.throws(() => postgres.query(statement), refused, statement)
  }
  for (const statement of [
    'insert into purchases default values',
    'insert into right_transfers default values',
    'insert into log_epochs default values',
    "select ensure_attempts_partitions('2026-02-01')",
    "select index_attempts('2026-02-01')",
  ]) {
    for (const postgres of [reader, auditor]) assert.throws(() => postgres.query(statement), refused, statement)
  }
  service.query("select ensure_attempts_partitions('2026-02-01'), index_attempts('2026-02-01')")
  for (const statement of [
    "select prepare_partition('checkout_attempts', 'purchases')",
    'update checkout_attempts_20260201 set n = n',
    'delete from checkout_attempts_20260201',
    'create index on checkout_attempts_20260201 (n)',
  ])
    assert.throws(() => service.query(statement), refused, statement)
  assert.throws(() => reader.query("insert into audits (verdict) values ('passed')"), refused)
  for (const postgres of [service, reader, auditor])
    postgres.query(`select from attempts, attempts_partitions, release_attempts, right_transfers, purchases, sales, audits, log_offsets, log_epochs,
      retired_days, retired_batches, retired_counts where shard_of(1, 3::smallint, 1::smallint) = 0`)
  const mighty =
    "select from pg_roles where rolname ~ '^hotcakes' and (rolsuper or rolcreatedb or rolcreaterole or rolreplication)"
  assert.deepEqual(superuser.query(mighty), [])
})

test('a service that may not bring the tables up to date says what is missing', async (t) => {
  emptyDatabase(t, db)
  const alone = { ...db, ownerUser: '' }
  const run = () => migrateNow(alone, schemaFolder)
  await assert.rejects(run(), {
    code: 'HC_SCHEMA',
    message: /lacks 001-record\.sql, .*user hotcakes may not .*DB_OWNER_USER/,
  })
  await migrateNow(db, schemaFolder)
  assert.deepEqual(await run(), [])
})

test('a database that one role owned is moved to the roles, with its record', async (t) => {
  superuser.query('drop database hotcakes')
  superuser.query('create database hotcakes owner hotcakes')
  await migrateNow({ ...db, ownerUser: '' }, schemaFolder)
  const before = connectPostgres(db, { applicationName: 'hotcakes test' })
  before.query("select ensure_attempts_partitions('2026-02-01')")
  before.query('update log_offsets set epoch = 1, seq = 7')
  before.close()
  makeRoles()
  await migrateNow(db, schemaFolder)
  const service = openAs(t, 'hotcakes', passwords.service)
  assert.deepEqual(service.query('select seq from log_offsets'), [{ seq: '7' }])
  assert.throws(() => service.query('drop table purchases'), { sqlState: '42501' })
  const owners = "select distinct tableowner as owner from pg_tables where schemaname = 'public'"
  assert.deepEqual(service.query(owners), [{ owner: 'hotcakes_owner' }])
})

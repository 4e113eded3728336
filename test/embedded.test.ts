import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Fault } from '../core/faults.ts'
import { connectPostgres } from '../core/postgres/connection.ts'
import { SaleStore } from '../core/redis/sale-store.ts'
import { firstShard } from '../core/shards.ts'
import { DataLock } from '../ops/embedded/data-lock.ts'
import type { Embedded } from '../ops/embedded/embedded.ts'
import { attachEmbedded, startEmbedded } from '../ops/embedded/embedded.ts'
import { readFacts } from '../ops/embedded/facts.ts'
import { postgresAnswers, redisAnswers } from '../ops/embedded/probes.ts'
import type { ProcessIdentity } from '../ops/embedded/process-identity.mjs'
import { identityOf, isAlive } from '../ops/embedded/process-identity.mjs'
import type { ServiceExit } from '../ops/embedded/service.ts'
import { waiting } from './helpers/embedded-options.ts'
import { endsWithUs } from './helpers/ends-with-us.ts'
import { eventually } from './helpers/eventually.ts'
import { listeningAddresses } from './helpers/listeners.ts'
import { openPostgres } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { commandTimeoutMs } from './helpers/services.ts'

const log = { info: () => undefined, warn: () => undefined }
const named = { applicationName: 'hotcakes test' }
const holder = fileURLToPath(new URL('helpers/embedded-holder.js', import.meta.url))

async function start(t: TestContext, dataDir: string): Promise<Embedded> {
  const embedded = await startEmbedded({ dataDir, redis: true, postgres: true, durable: false, log })
  t.after(() => embedded.stop())
  return embedded
}

const model = join(temporaryFolder({ after }), 'data')
await (await startEmbedded({ dataDir: model, redis: true, postgres: true, durable: false, log })).stop()

/** Data of a server that was set up and has stopped: to set one up takes 1.5 s of CPU, and few tests are about that. */
function startedBefore(t: TestContext): string {
  const dataDir = join(temporaryFolder(t), 'data')
  execFileSync('cp', ['-a', model, dataDir]) // with its owner, who is not root, and its modes, which PostgreSQL insists on
  return dataDir
}

/** mkdtemp gives mode 0700: as root this is the folder that user postgres cannot pass. */
function privateFolder(): string {
  return mkdtempSync(join(tmpdir(), 'hotcakes-embedded-'))
}

function processesOf(dataDir: string): ProcessIdentity[] {
  const { redis, postgres } = readFacts(dataDir)
  return [redis, postgres].flatMap((facts) => facts?.process ?? [])
}

/** Both do. One question is given up after two seconds, and a busy machine may take longer for it. */
async function assertAnswers({ db, redis }: Embedded): Promise<void> {
  assert.ok(db !== undefined && redis !== undefined)
  const doAnswer = async () => (await Promise.all([postgresAnswers(db), redisAnswers(redis)])).every(Boolean)
  await eventually(doAnswer, { deadlineMs: 20_000, what: 'an answer of both services' })
}

test('both services answer, in a folder that only its owner may pass, and end when stopped', async (t) => {
  const folder = privateFolder()
  const embedded = await start(t, join(folder, 'data'))
  t.after(() => rmSync(folder, { recursive: true }))
  await assertAnswers(embedded)
  const processes = processesOf(join(folder, 'data'))
  assert.equal(processes.length, 2)
  await embedded.stop()
  assert.deepEqual(processes.filter(isAlive), [])
})

test('passwords are in no command line, and in no file that others may read', async (t) => {
  const folder = privateFolder()
  const dataDir = join(folder, 'data')
  const embedded = await start(t, dataDir)
  t.after(() => rmSync(folder, { recursive: true }))
  for (const { pid } of processesOf(dataDir)) {
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    for (const { password } of [embedded.db, embedded.redis].flatMap((connection) => connection ?? [])) {
      assert.ok(!commandLine.includes(password))
    }
  }
  for (const file of ['embedded.json', 'lock', 'redis.log', 'postgres.log', 'redis/redis.conf']) {
    assert.equal(statSync(join(dataDir, file)).mode & 0o077, 0, file)
  }
  for (const data of ['redis', 'postgres']) assert.equal(statSync(join(dataDir, data)).mode & 0o777, 0o700, data)
})

test('both listen on the loopback interface alone, and turn away who has no password', async (t) => {
  const embedded = await start(t, startedBefore(t))
  const { db, redis } = embedded
  assert.ok(db !== undefined && redis !== undefined)
  for (const { port } of [db, redis]) assert.deepEqual(listeningAddresses(port), ['127.0.0.1'])
  for (const wrong of [{ password: 'wrong' }, { user: 'default' }, { user: '', password: '' }]) {
    const client = new SaleStore({ ...redis, ...wrong }, { shard: firstShard, name: 'hotcakes test', commandTimeoutMs })
    t.after(() => client.close())
    await assert.rejects(client.connect(), { code: 'HC_REDIS_REFUSED' })
  }
  for (const wrong of [{ password: 'wrong' }, { password: '' }, { user: 'postgres' }, { name: 'postgres' }]) {
    assert.throws(() => connectPostgres({ ...db, ...wrong }, named), { code: 'HC_POSTGRES_UNAVAILABLE' })
  }
  await embedded.stop()
})

test('data of a version that knew one role, and no user of Redis, goes on with both', async (t) => {
  const dataDir = startedBefore(t)
  const first = await start(t, dataDir)
  assert.ok(first.db !== undefined)
  const owner = openPostgres(t, first.db)
  owner.query('grant create on schema public to hotcakes')
  owner.query('create table kept (); alter table kept owner to hotcakes')
  await first.stop()
  const { postgres, redis } = readFacts(dataDir)
  assert.ok(postgres && redis)
  const { ownerUser, ownerPassword, ...db } = postgres.connection
  const { user, ...cache } = redis.connection
  const older = { postgres: { ...postgres, connection: db }, redis: { ...redis, connection: cache } }
  writeFileSync(join(dataDir, 'embedded.json'), JSON.stringify(older))

  const second = await start(t, dataDir)
  assert.ok(second.db !== undefined)
  assert.deepEqual([second.db.ownerUser, second.redis?.user], [ownerUser, user])
  assert.notEqual(second.db.ownerPassword, ownerPassword)
  openPostgres(t, second.db).query('drop table kept')
  await second.stop()
})

test('a second start goes on with the data and the passwords; losing embedded.json loses no data', async (t) => {
  const dataDir = startedBefore(t)
  const first = await start(t, dataDir)
  await first.stop()
  const inode = statSync(join(dataDir, 'postgres')).ino
  const second = await start(t, dataDir)
  assert.equal(second.db?.password, first.db?.password)
  assert.equal(second.redis?.password, first.redis?.password)
  await second.stop()
  rmSync(join(dataDir, 'embedded.json'))
  const third = await start(t, dataDir)
  await assertAnswers(third)
  assert.notEqual(third.db?.password, first.db?.password)
  assert.equal(statSync(join(dataDir, 'postgres')).ino, inode)
  await third.stop()
})

test('the data of a live server are refused to another one, and free again when it has stopped', async (t) => {
  const dataDir = startedBefore(t)
  const first = await start(t, dataDir)
  await assert.rejects(start(t, dataDir), (error) => {
    return error instanceof Fault && error.code === 'HC_DATA_DIR_IN_USE' && error.message.includes(String(process.pid))
  })
  await assertAnswers(first)
  // The first one is on its way out: the second waits for it instead of giving up.
  const stopping = first.stop()
  const second = await start(t, dataDir)
  await stopping
  await assertAnswers(second)
  await second.stop()
})

test('the audit uses the services of the running server, and starts them itself when there is none', async (t) => {
  const nowhere = { dataDir: join(temporaryFolder(t), 'data'), redis: true, postgres: true, log }
  await assert.rejects(attachEmbedded(nowhere), /has the server been started there/)
  const dataDir = startedBefore(t)
  const options = { ...nowhere, dataDir }
  const server = await start(t, dataDir)
  const beside = await attachEmbedded(options)
  assert.deepEqual([beside.db, beside.redis], [server.db, server.redis])
  await beside.stop()
  await assertAnswers(server)
  await server.stop()
  const alone = await attachEmbedded(options)
  t.after(() => alone.stop())
  await assertAnswers(alone)
  await alone.stop()
  assert.deepEqual(processesOf(dataDir).filter(isAlive), [])
})

test('a service that dies is reported, one that is stopped is not', async (t) => {
  const dataDir = startedBefore(t)
  const embedded = await start(t, dataDir)
  const exits: ServiceExit[] = []
  embedded.onExit((exit) => exits.push(exit))
  const redis = readFacts(dataDir).redis
  assert.ok(redis !== undefined)
  process.kill(redis.process.pid, 'SIGKILL')
  await eventually(() => exits.length > 0)
  await embedded.stop()
  assert.deepEqual(exits, [{ service: 'embedded Redis', code: null, signal: 'SIGKILL' }])
})

async function startHolder(t: TestContext, dataDir: string): Promise<ChildProcess> {
  const child = spawn(...endsWithUs('KILL', process.execPath, [holder, dataDir]), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

test('a killed server leaves no service behind, and the next one takes over its data', async (t) => {
  const dataDir = startedBefore(t)
  const killed = await startHolder(t, dataDir)
  const orphans = processesOf(dataDir)
  assert.deepEqual(orphans.map(isAlive), [true, true])
  const ended = once(killed, 'exit')
  killed.kill('SIGKILL')
  await ended
  const next = await start(t, dataDir)
  assert.deepEqual(orphans.map(isAlive), [false, false])
  await assertAnswers(next)
  await next.stop()
})

test('a lock whose pid belongs to another process by now is not believed', async (t) => {
  const dataDir = temporaryFolder(t)
  const { pid, startTicks } = identityOf(process.pid)
  writeFileSync(join(dataDir, 'lock'), JSON.stringify({ pid, startTicks: startTicks - 1, stopping: false }))
  const lock = await DataLock.acquire(dataDir, waiting)
  t.after(() => lock.release())
  await assert.rejects(DataLock.acquire(dataDir, waiting), { code: 'HC_DATA_DIR_IN_USE' })
})

test('of many that find the same stale lock, one gets the data', async (t) => {
  const dataDir = temporaryFolder(t)
  writeFileSync(join(dataDir, 'lock'), 'left by a full disk')
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => DataLock.acquire(dataDir, waiting)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('a start that waits for a predecessor names it, and ends when nobody wants it any more', async (t) => {
  const dataDir = temporaryFolder(t)
  writeFileSync(join(dataDir, 'lock'), JSON.stringify({ ...identityOf(process.pid), stopping: true }))
  const said: string[] = []
  const abort = new AbortController()
  const acquired = DataLock.acquire(dataDir, { say: (sentence) => said.push(sentence), signal: abort.signal })
  acquired.catch(() => undefined)
  await eventually(() => said.length > 0)
  assert.match(said[0] ?? '', new RegExp(`waiting for process ${process.pid}, which is stopping`))
  abort.abort(new Error('stopping'))
  await assert.rejects(acquired)
  assert.equal(said.length, 1)
})

test('a start that is ended while it sets up the data leaves nothing running, and the next one succeeds', async (t) => {
  const dataDir = temporaryFolder(t)
  const abort = new AbortController()
  const reason = new Error('stopping')
  const info = (_fields: object, message: string) => {
    if (message.startsWith('setting up PostgreSQL')) abort.abort(reason)
  }
  const options = { dataDir, redis: true, postgres: true, durable: false }
  await assert.rejects(startEmbedded({ ...options, log: { ...log, info }, signal: abort.signal }), reason)
  assert.deepEqual(processesOf(dataDir).map(isAlive), [false])
  assert.ok(!existsSync(join(dataDir, 'lock')))
  const next = await start(t, dataDir)
  await assertAnswers(next)
  await next.stop()
})

// Makes the data of test/fixtures/last-version anew: `node ops/setup/run.mjs test/last-version/make.js` in a clone with its history.
// Builds that version from its commit, lets it sell with the services that it brings along, and kills everything at once
// while a sale is in progress and the newest entries of its log are not in Postgres. Its persister is kept too, bundled.

import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { freePort } from '../../core/free-port.ts'
import { type EmbeddedFacts, readFacts } from '../../ops/embedded/facts.ts'
import { startPostgresService } from '../../ops/embedded/postgres.ts'
import { Releases } from '../faults/releases.ts'
import { endsWithUs } from '../helpers/ends-with-us.ts'
import { eventually } from '../helpers/eventually.ts'
import { HttpClient } from '../helpers/http-client.ts'
import { pathOfOtherTime } from '../helpers/other-time.ts'
import { childrenOf, processTree, signal, stillRunning } from '../helpers/processes.ts'
import { openPostgres } from '../helpers/record.ts'
import { temporaryFolder } from '../helpers/scope.ts'
import { Shoppers } from './shoppers.ts'
import { fixture, lastVersionCommit, type Rows, type Story, settings } from './story.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const intervalSeconds = Number(settings.APP_SALE_INTERVAL_SECONDS)
/** Of the first run: short, so that some expire. */
const shortHoldSeconds = 2
/** Installing and compiling it. */
const startMsMax = 300_000

interface OldServer {
  readonly child: ChildProcess
  readonly http: HttpClient
}

function run(program: string, args: readonly string[], cwd: string): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })
}

function buildLastVersion(releases: Releases): string {
  const folder = join(temporaryFolder(releases), 'hotcakes')
  run('git', ['worktree', 'add', '--detach', folder, lastVersionCommit], root)
  releases.after(() => run('git', ['worktree', 'remove', '--force', folder], root))
  // With the same packages their addons need not be compiled again.
  if (lockOf(folder) === lockOf(root)) run('cp', ['-al', join(root, 'node_modules'), folder], root)
  else run('npm', ['ci', '--no-audit', '--no-fund'], folder)
  run('npm', ['run', 'build'], folder)
  return folder
}

function lockOf(folder: string): string {
  return readFileSync(join(folder, 'package-lock.json'), 'utf8')
}

async function startOld(
  releases: Releases,
  options: { folder: string; dataDir: string; env: Readonly<Record<string, string>> },
): Promise<OldServer> {
  const [port, metricsPort] = [await freePort(), await freePort()]
  const env = {
    ...settings,
    APP_HOST: '127.0.0.1',
    APP_PORT: String(port),
    APP_METRICS_PORT: String(metricsPort),
    APP_DATA_DIR: options.dataDir,
    APP_WORKERS: '2',
    ...options.env,
  }
  const main = join(options.folder, 'dist/server/primary/main.js')
  const child = spawn(...endsWithUs('KILL', process.execPath, [main]), {
    cwd: options.folder,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const http = new HttpClient(releases, { baseUrl: `http://127.0.0.1:${port}` })
  await eventually(async () => (await http.get('/readyz')).status === 200, { deadlineMs: startMsMax, what: 'a start' })
  return { child, http }
}

async function stopOld({ child }: OldServer): Promise<void> {
  const ended = new Promise((resolve) => child.on('close', resolve))
  child.kill('SIGTERM')
  assert.equal(await ended, 0)
}

/** Everything at once: nobody gets to do anything in order. */
async function killAll(child: ChildProcess): Promise<void> {
  const all = processTree(child.pid ?? assert.fail())
  for (const pid of all) signal(pid, 'SIGKILL')
  await eventually(() => stillRunning(all).length === 0, { what: 'all of it to be dead' })
}

async function readRows(releases: Releases, dataDir: string): Promise<Rows> {
  const { password, ownerPassword } = readFacts(dataDir).postgres?.connection ?? assert.fail()
  const { service, connection } = await startPostgresService({
    dataDir,
    passwords: { service: password, owner: ownerPassword },
    passwordsAreNew: false,
    durable: true,
    onLaunch: () => undefined,
    waiting: { say: () => undefined, signal: new AbortController().signal },
  })
  releases.after(() => service.stop())
  const postgres = openPostgres(releases, connection)
  const names = postgres.query<{ name: string; partition: boolean }>(`
    select relname::text as name, relispartition as partition from pg_class
    where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') order by 1`)
  const rowsOf = (name: string) => {
    const [all] = postgres.query<{ rows: string }>(`select coalesce(json_agg(t)::text, '[]') as rows from ${name} t`)
    return JSON.parse(all?.rows ?? '') as Record<string, unknown>[]
  }
  const parents = names.filter(({ partition }) => !partition)
  const days = names.flatMap(({ name }) => /^checkout_attempts_(\d{8})$/.exec(name)?.[1] ?? [])
  return { days, tables: Object.fromEntries(parents.map(({ name }) => [name, rowsOf(name)])) }
}

/** No process of any machine started before its boot, and the passwords are the next start's. */
function withoutThisMachine({ postgres, redis }: EmbeddedFacts): EmbeddedFacts {
  const nobody = { pid: 1, startTicks: -1 }
  assert.ok(postgres && redis)
  return {
    postgres: { connection: { ...postgres.connection, password: '', ownerPassword: '' }, process: nobody },
    redis: { connection: { ...redis.connection, password: '' }, process: nobody },
  }
}

function writeFixture(dataDir: string, story: Story, rows: Rows): void {
  rmSync(fixture, { recursive: true, force: true })
  mkdirSync(join(fixture, 'redis'), { recursive: true })
  cpSync(join(dataDir, 'redis/appendonlydir'), join(fixture, 'redis/appendonlydir'), { recursive: true })
  const facts = withoutThisMachine(readFacts(dataDir))
  for (const [name, value] of Object.entries({ story, rows, embedded: facts })) {
    writeFileSync(join(fixture, `${name}.json`), `${JSON.stringify(value, undefined, 1)}\n`)
  }
}

/** Each program in one file, without packages: it has those of this checkout. Beside it are the Redis functions that it loads. */
async function keepPersister(folder: string): Promise<void> {
  const kept = join(fixture, 'persister')
  await build({
    absWorkingDir: folder,
    entryPoints: ['persister-main', 'copy-thread'].map((name) => `workers/${name}.ts`),
    outdir: kept,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
  })
  cpSync(join(folder, 'core/redis/functions'), join(kept, 'functions'), { recursive: true })
}

async function make(releases: Releases): Promise<void> {
  const folder = buildLastVersion(releases)
  const dataDir = join(temporaryFolder(releases), 'data')
  const nowSeconds = Math.floor(Date.now() / 1_000)
  // Its Redis lives in a sale's last minute in the first run, and just behind its end in the second.
  const over = Math.floor(nowSeconds / intervalSeconds) - 2
  const clockAt = (seconds: number) =>
    pathOfOtherTime(temporaryFolder(releases), { behindSeconds: nowSeconds - seconds })
  const first = await startOld(releases, {
    folder,
    dataDir,
    env: { PATH: clockAt((over + 1) * intervalSeconds - 90), APP_HOLD_SECONDS: String(shortHoldSeconds) },
  })
  const shoppers = new Shoppers(first.http)
  await shoppers.shopInSaleThatEnds(over, shortHoldSeconds)
  await stopOld(first)

  const second = await startOld(releases, {
    folder,
    dataDir,
    env: { PATH: clockAt((over + 1) * intervalSeconds + 10) },
  })
  shoppers.http = second.http
  await shoppers.shop(over + 1, { from: 1 })
  const [persister = assert.fail()] = childrenOf(second.child.pid ?? 0, /persister-main/)
  process.kill(persister, 'SIGSTOP')
  const drained = shoppers.answers.length
  await shoppers.shop(over + 1, { from: 31 })
  await killAll(second.child)

  const undrained = shoppers.answers.length - drained
  const [answers, endedAtMs] = [shoppers.answers, shoppers.latestMs]
  const story: Story = { commit: lastVersionCommit, endedAtMs, sales: [over, over + 1], answers, undrained }
  writeFixture(dataDir, story, await readRows(releases, dataDir))
  await keepPersister(folder)
}

const releases = new Releases()
try {
  await make(releases)
} finally {
  await releases.release()
}

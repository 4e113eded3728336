// The load bench is run as a user would run it, small and short: so that it can't rot. No number of it is looked at.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isValid, type Report, type Run } from '../bench/report/report.ts'
import { readReport } from '../bench/report/store.ts'
import { addTally, answered, newTally, sum, unanswered } from '../bench/report/tally.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { endsWithUs } from './helpers/ends-with-us.ts'
import { eventually } from './helpers/eventually.ts'
import { deadlineMs } from './helpers/http-worker.ts'
import { type Scope, temporaryFolder } from './helpers/scope.ts'

const program = fileURLToPath(new URL('../bench/load/main.js', import.meta.url))

/** Seconds of a load that must have some answer: on a busy machine its processes may stand still for two of them. */
const briefly = '3'

function startBench(scope: Scope, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const out = temporaryFolder(scope)
  const child = spawn(...endsWithUs('TERM', process.execPath, [program, ...args, '--out', out]), {
    cwd: out,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const ended = once(child, 'close') as Promise<[number | null]>
  scope.after(() => {
    child.kill('SIGTERM')
  })
  return {
    child,
    text: () => text,
    ended: async () => (await ended)[0],
    report: (): Report => readReport(join(out, onlyFile(out, '.json'))),
    reports: (): Report[] => filesOf(out, '.json').map((name) => readReport(join(out, name))),
    errors: () =>
      readFileSync(join(out, onlyFile(out, '.errors.ndjson')), 'utf8')
        .trim()
        .split('\n'),
  }
}

function filesOf(folder: string, ending: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith(ending))
}

function onlyFile(folder: string, ending: string): string {
  const found = filesOf(folder, ending)
  assert.equal(found.length, 1, `${ending} in ${found.join()}`)
  return found[0] ?? ''
}

function onlyRun({ runs: [run] }: Report): Run {
  assert.ok(run)
  return run
}

/** How many were decided, and of how many that is not known: a busy machine answers some 503, or too late. */
function attemptsOf({ tally, tail, warmup }: Run): { decided: number; unknown: number } {
  const all = newTally()
  for (const part of [tally, tail, warmup]) addTally(all, part)
  const failed = sum(all.failed)
  return { decided: answered(all) - failed, unknown: failed + unanswered(all) }
}

async function soldIn({ http }: Cluster): Promise<number> {
  return Number((await http.get('/sale')).json?.['sold'])
}

test('a sell-out on a fresh server: sold to the last item, every answer on record, an audited report', async (t) => {
  // Some 150 requests, and a busy machine has seconds for them; a bare handler has half of that. What follows costs all cores.
  const [items, seconds] = [30, 5]
  const shape = ['--items', String(items), '--seconds', String(seconds), '--connections', '16', '--workers', '2']
  // A buyer who is turned away doesn't come back for the item: nobody is, however slow the machine.
  const bench = startBench(t, ['sell-out', ...shape, '--env', `APP_DEADLINE_MS=${deadlineMs}`])
  assert.equal(await bench.ended(), 0, bench.text())

  const report = bench.report()
  const run = onlyRun(report)
  assert.ok(isValid(run))
  assert.equal(run.audit?.verdict, 'passed')
  const { decided, unknown } = attemptsOf(run)
  const recorded = run.audit?.attempts ?? 0
  assert.ok(recorded >= decided && recorded <= decided + unknown, `${recorded} on record, ${decided} decided`)
  assert.deepEqual([run.sale?.sold, run.tally.purchases], [items, items])
  assert.ok(run.sellOut?.floor && run.sellOut.floor.sellingPerSecond > 0, bench.text())
  assert.match(bench.text(), /^floor: {4}\d+\.\d\d of [\d,]+\/s of a bare handler until then/m)
  assert.equal(run.latency.checkout.count + run.latency.purchase.count, answered(run.tally) + answered(run.tail))
  assert.equal(run.timeline.answered.length, seconds)
  assert.ok(run.use?.['Redis'] && run.use['HTTP workers'] && run.use['persister'])
  assert.equal(run.generator.cpuSeconds.length, 2, 'of each generator')
  assert.match(bench.text(), /rejected {2}item_sold/)
  assert.match(bench.text(), /audit: {4}passed/)

  const samples = bench.errors().map((line) => JSON.parse(line) as { kind?: string; counts?: object; body?: string })
  assert.ok(samples.some(({ kind, body }) => kind === 'checkout 409 item_sold' && body?.includes('"detail"')))
  assert.ok(samples.at(-1)?.counts)
  assert.ok(samples.length < 100, 'errors are sampled')

  // The report is meant to be passed on.
  // A histogram is base64, in which a short host name may occur by chance.
  const json = JSON.stringify(report, (key, value: unknown) => (key === 'histogram' ? '' : value))
  for (const secret of [process.cwd(), hostname(), '/tmp', '127.0.0.1'])
    assert.equal(json.includes(secret), false, secret)
})

test('a reload and the death of a persister in the middle lose nothing, and are in the report', async (t) => {
  const shape = ['--rate', '100', '--seconds', '6', '--connections', '8', '--warmup', '0', '--hold', '600']
  const bench = startBench(t, [
    'soak',
    ...shape,
    '--kill-persister-at',
    '0.2',
    '--env',
    `APP_DEADLINE_MS=${deadlineMs}`,
  ])
  assert.equal(await bench.ended(), 0, bench.text())
  const run = onlyRun(bench.report())
  assert.deepEqual(
    run.disturbances?.map(({ what, second, succeeded }) => `${what} ${second.toFixed(1)} ${succeeded}`),
    ['persister killed 1.2 true', 'reload 2.0 true'],
  )
  assert.match(bench.text(), /note: {5}reload after 2 s/)
  assert.deepEqual([run.tally.socketErrors, run.tally.timeouts], [{}, 0], 'nothing is sent behind a last answer')
  assert.equal(run.audit?.verdict, 'passed')
})

test('a server of a version beside is loaded in turn, into a report of its own', async (t) => {
  const shape = ['--seconds', briefly, '--warmup', '0', '--connections', '1', '--label', 'now']
  const bench = startBench(t, ['sell-out', '--no-floor', ...shape, '--beside', process.cwd()])
  assert.equal(await bench.ended(), 0, bench.text())
  const reports = bench.reports()
  assert.deepEqual(new Set(reports.map(({ label }) => label)), new Set(['now', 'now-beside']))
  assert.equal(reports.length, 2)
  assert.equal(new Set(reports.map(({ machine }) => machine.commit)).size, 1, 'it is the same version')
  for (const { runs, server } of reports) {
    assert.deepEqual([runs.length, runs[0]?.audit?.verdict, server.kind], [1, 'passed', 'own'])
  }
  assert.doesNotMatch(bench.text(), /bare handler/)
  assert.match(bench.text(), /a fresh server of the version beside \(\S+\) on this machine/)
})

test('a running server, at a fixed rate, and ended by Ctrl+C', async (t) => {
  const cluster = await startCluster(t, { env: { APP_ITEM_NUMBER: '100000' } })
  const running = ['--url', cluster.baseUrl, '--connections', '8', '--warmup', '0']

  await t.test(
    'an open loop counts from when a request was due, and none of those that were due is forgotten',
    async (t2) => {
      const args = [
        'steady',
        ...running,
        '--seconds',
        briefly,
        '--rate',
        '100',
        '--audit',
        '--server-pid',
        String(cluster.pid),
      ]
      const bench = startBench(t2, args, cluster.env)
      assert.equal(await bench.ended(), 0, bench.text())
      const run = onlyRun(bench.report())
      assert.equal(run.latencyFrom, 'due')
      assert.ok(run.uncorrected)
      assert.equal(run.audit?.verdict, 'passed')
      assert.equal(run.tally.sent + run.neverSent, 100 * Number(briefly), `${run.tally.sent} sent`)
      assert.deepEqual(run.missing, [])
    },
  )

  await t.test('what is read and looked at beside the buying is counted apart', async (t2) => {
    const beside = ['--reads', '100', '--viewers', '5']
    const bench = startBench(t2, ['steady', ...running, '--seconds', briefly, '--rate', '50', ...beside])
    assert.equal(await bench.ended(), 0, bench.text())
    const { reading, viewing, tally, neverSent, generator } = onlyRun(bench.report())
    assert.ok(reading && reading.ok > 0)
    assert.deepEqual([reading.other, reading.unanswered], [0, 0])
    assert.equal(tally.sent + neverSent, 50 * Number(briefly))
    assert.deepEqual([viewing?.viewers, viewing?.closed], [5, 0])
    assert.ok(viewing && viewing.messagesPerSecond > 0)
    assert.equal(generator.cpuSeconds.length, 3)
    assert.match(bench.text(), /reading {3}100\/s offered/)
  })

  await t.test('Ctrl+C prints what there is so far, and says what is missing', async (t2) => {
    const bench = startBench(t2, ['balanced', ...running, '--seconds', '600'])
    const before = await soldIn(cluster)
    await eventually(async () => (await soldIn(cluster)) > before, { what: 'a purchase of the bench' })
    bench.child.kill('SIGINT')
    assert.equal(await bench.ended(), 130, bench.text())
    const run = onlyRun(bench.report())
    assert.ok(run.interrupted && run.seconds < 600)
    assert.ok(isValid(run))
    assert.match(bench.text(), /requests .*answered/)
    assert.match(bench.text(), /it was stopped after/)
    assert.match(bench.text(), /missing: {2}the audit/)
  })
})

test('a folder without a built version, and one beside a running server, are slips', async (t) => {
  const [unbuilt, running] = [
    startBench(t, ['balanced', '--beside', temporaryFolder(t)]),
    startBench(t, ['balanced', '--beside', process.cwd(), '--url', 'http://127.0.0.1:9']),
  ]
  assert.deepEqual([await unbuilt.ended(), await running.ended()], [2, 2])
  assert.match(unbuilt.text(), /is no checkout that was built: npm run build makes it one/)
  assert.match(running.text(), /--beside is for fresh servers: it excludes --url/)
})

test('a server that is not there is an error, not a result', async (t) => {
  const bench = startBench(t, ['balanced', '--url', 'http://127.0.0.1:9', '--seconds', '1'])
  assert.equal(await bench.ended(), 1)
  assert.match(bench.text(), /the load could not be run/)
})

// Goal: whatever ends npm run retire, at whatever step, each day is there as a whole or retired as a whole, and the next run goes on.
// Method: of as many days as there are steps each is retired by a run that gets a signal at its step, and then by one that doesn't.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { Postgres } from '../core/postgres/connection.ts'
import { dailyTables } from '../core/postgres/daily-tables.ts'
import { retireSteps } from '../ops/tools/retire/steps.ts'
import { runAuditJson } from './helpers/audit.ts'
import { countsOfSales, partitionedDays, runRetire, startPastShop } from './helpers/retire.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres } from './helpers/services.ts'
import { runTool } from './helpers/tool.ts'

const programThatDies = fileURLToPath(new URL('./helpers/retire-that-dies.js', import.meta.url))
const signals = ['SIGKILL', 'SIGTERM'] as const

const { connection: db } = await startPostgres({ after })
const shop = await startPastShop({ after }, db, { days: 2 * retireSteps.length, lastAgo: 3 })
const { postgres, past } = shop
const env = servicesEnv({ db, redis: shop.redis })
const folder = temporaryFolder({ after })
const counts = countsOfSales(postgres, past.sales)
const attempts = (await runAuditJson(env)).attempts

/** Attempts on record, and those that are kept as counts: together all that there ever were. */
function attemptsAndKept(from: Postgres): number {
  const [row] = from.query<{ count: number }>(`select ((select count(*) from attempts)
    + (select coalesce(sum(attempts), 0) from retired_days))::float8 as count`)
  return row?.count ?? 0
}

const ends = signals.flatMap((signal) => retireSteps.map((step) => [signal, step] as const))

for (const [at, [signal, step]] of ends.entries()) {
  test(`${signal} at the step ${step} loses nothing and doubles nothing, and the next run goes on`, async () => {
    const day = past.days[at] ?? ''
    const next = past.days[at + 1] ?? past.end
    const args = ['--before', next, '--archive', folder]
    const ended = await runTool(
      programThatDies,
      { ...env, HOTCAKES_TEST_DIE_AT: step, HOTCAKES_TEST_SIGNAL: signal },
      args,
    )
    const isGone = step === 'committed' || (signal === 'SIGTERM' && step === 'dropped')
    assert.equal(ended.status, signal === 'SIGKILL' ? null : isGone ? 0 : 1, ended.stderr)
    assert.equal(partitionedDays(postgres)[0], isGone ? next : day)
    assert.deepEqual([countsOfSales(postgres, past.sales), attemptsAndKept(postgres)], [counts, attempts])

    const again = await runRetire(env, args)
    assert.equal(again.status, 0, again.stderr)
    assert.equal(partitionedDays(postgres)[0], next)
    assert.deepEqual([countsOfSales(postgres, past.sales), attemptsAndKept(postgres)], [counts, attempts])
    const files = (dailyTables.length + 2) * (at + 1)
    assert.equal(readdirSync(folder).length, files, 'the tables, checksums, the manifest, and nothing half-written')
  })
}

test('after all that every archive is whole, and the audit passes', async () => {
  const { status, stdout } = await runRetire({}, ['--verify', folder])
  assert.equal(status, 0, stdout)
  assert.equal(stdout.split('\n').length - 1, past.days.length)
  const audited = await runAuditJson(env)
  assert.deepEqual([audited.verdict, audited.attempts], ['passed', attempts], JSON.stringify(audited.checks))
})

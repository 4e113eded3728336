// Goal: days are retired beside a sale, and neither notices: the record takes every row, and the days go as soon as they may.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { runAuditJson } from './helpers/audit.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister } from './helpers/persister.ts'
import { openPostgres, recordedAttempts } from './helpers/record.ts'
import { partitionedDays, retireProgram, startPastShop } from './helpers/retire.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres } from './helpers/services.ts'

const { connection: db } = await startPostgres({ after })

test('a sale goes on while days are retired, also while they wait for somebody who reads', async (t) => {
  const { postgres, past, buyers, redis } = await startPastShop(t, db, { days: 2, bulkRows: 10_000 })
  const env = servicesEnv({ db, redis })
  const folder = temporaryFolder(t)
  const persister = await startPersister(t, { db, redis })
  const closing = new AbortController()
  const states = new Set<string | undefined>()
  const selling = (async () => {
    while (!closing.signal.aborted) {
      await buyers.checkOut(10)
      await buyers.purchase(5)
      states.add((await buyers.store.logState()).persister?.state)
      await delay(5)
    }
  })()
  const copied = (): number =>
    postgres.query<{ rows: number }>('select count(*)::int as rows from checkout_attempts where epoch = 2')[0]?.rows ??
    0

  // As an audit has it, for as long as it compares.
  const reader = openPostgres(t, db)
  reader.query('begin; lock table only checkout_attempts in access share mode')
  const child = spawn(process.execPath, [retireProgram, '--before', past.end, '--archive', folder], {
    cwd: temporaryFolder(t),
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (words: string) => (said += words))
  await eventually(() => said.includes('waits, because somebody uses the tables'))
  const before = copied()
  await eventually(() => copied() > before + 200, { what: 'rows beside whoever waits for the lock' })
  assert.ok(partitionedDays(postgres).includes(past.days[0] ?? ''))
  reader.query('commit')
  assert.deepEqual(await ended, [0, null], said)
  assert.equal(partitionedDays(postgres)[0], past.end)

  closing.abort()
  await selling
  assert.deepEqual(await persister.drain(), { code: 0, signal: null })
  for (const state of ['locked', 'refused', 'log_fault']) assert.ok(!states.has(state), state)
  const codes = persister.logLines().flatMap(({ code }) => code ?? [])
  assert.ok(!codes.includes('HC_POSTGRES_LOCKED') && !codes.includes('HC_POSTGRES_REFUSED'), codes.join())
  assert.deepEqual(
    recordedAttempts(postgres).filter(({ position }) => position.startsWith('2-')),
    buyers.decided,
  )
  const audited = await runAuditJson(env)
  assert.equal(audited.verdict, 'passed', JSON.stringify(audited.checks))
  assert.equal(audited.retired?.days, 2)
})

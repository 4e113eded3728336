// Goal: a persister of the last version beside servers of this one, as in an upgrade one server after the other, records nothing
// wrong and loses nothing: it stops at what it doesn't know, and takes up what a retired day has left.
// Method: its own programs, from test/fixtures/last-version/persister (test/last-version/make.ts makes them anew).

import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { runAuditJson } from './helpers/audit.ts'
import { startBuyers } from './helpers/buyers.ts'
import { eventually } from './helpers/eventually.ts'
import { startPersister } from './helpers/persister.ts'
import { assertRecorded, newRecord, recordedAttempts } from './helpers/record.ts'
import { partitionedDays, runRetire, startPastShop } from './helpers/retire.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { stepRedisClock } from './helpers/stepped-redis-clock.ts'
import { lastPersister } from './last-version/story.ts'

const { connection: db } = await startPostgres({ after })
const drained = { code: 0, signal: null }

for (const [what, isReplaced] of [
  ['release', false],
  ['purchaseSigned', true],
] as const) {
  test(`it stops before the first ${what}, and this version goes on from there`, async (t) => {
    const { connection: redis } = await startRedis(t)
    const postgres = newRecord(t, db)
    const buyers = await startBuyers(t, redis)
    const old = await startPersister(t, { db, redis, program: lastPersister })
    await buyers.checkOut(8)
    await buyers.purchase(2)
    await eventually(() => recordedAttempts(postgres).length === 10, { what: 'what it knows' })
    assertRecorded(postgres, buyers.decided)

    await buyers[what](2)
    await buyers.checkOut(3)
    const { trouble } = await eventually(async () => {
      const { persister } = await buyers.store.logState()
      return persister?.state === 'log_fault' ? persister : undefined
    })
    assert.equal(trouble?.fault, 'HC_LOG_MALFORMED')
    assert.match(trouble.reason, /version 2/)
    assert.deepEqual(recordedAttempts(postgres), buyers.decided.slice(0, 10))
    assert.equal(await buyers.store.redis.xlen(buyers.store.keys.log), 2, 'the rest waits in Redis')
    if (!isReplaced) {
      assert.deepEqual(await old.drain(), { code: 1, signal: null })
      assert.ok(old.messages.some((said) => said.type === 'left' && said.what.includes('HC_LOG_MALFORMED')))
    }

    const ours = await startPersister(t, { db, redis })
    await eventually(() => recordedAttempts(postgres).length === buyers.decided.length, { what: 'the rest' })
    if (isReplaced) assert.deepEqual(await old.drain(), drained, 'nothing is left for it')
    assert.deepEqual(await ours.drain(), drained)
    assertRecorded(postgres, buyers.decided)
  })
}

test('beside retired days it records what comes, late rows of such a day too', async (t) => {
  const { postgres, past, buyers, redis, admin } = await startPastShop(t, db, { days: 1 })
  const env = servicesEnv({ db, redis })
  const [day = ''] = past.days
  const clock = await stepRedisClock(admin)
  const old = await startPersister(t, { db, redis, program: lastPersister })
  const ofNow = () => recordedAttempts(postgres).filter(({ position }) => position.startsWith('2-'))
  /** In Postgres, and no longer in the log: a day of which that has entries is not retired. */
  const areDrained = async (count: number) =>
    ofNow().length === count && (await buyers.store.logState()).backlogEntries === 0
  /** By a clock that is set back to the middle of that day. */
  const checkOutThen = async (count: number) => {
    await clock.set(Date.parse(`${day}T12:00:00Z`) - Date.now())
    await buyers.checkOut(count)
    await clock.set(0)
  }
  // From here on it knows the day's partitions.
  await checkOutThen(2)
  await eventually(() => areDrained(buyers.decided.length))
  const retired = new Set(buyers.decided.slice(-2))

  const retire = async (): Promise<void> => {
    const { status, stderr } = await runRetire(env, ['--before', past.end, '--drop'])
    assert.equal(status, 0, stderr)
    assert.notEqual(partitionedDays(postgres)[0], day)
  }
  await retire()
  const here = () => buyers.decided.filter((one) => !retired.has(one))
  await buyers.checkOut(3)
  await checkOutThen(4)
  await buyers.checkOut(5)
  await eventually(() => areDrained(here().length), { what: 'late rows' })
  assert.deepEqual(ofNow(), here())
  assert.equal(partitionedDays(postgres)[0], day)
  await retire()
  assert.deepEqual(await old.drain(), drained)
  const audited = await runAuditJson(env)
  assert.equal(audited.verdict, 'passed', JSON.stringify(audited.checks))
  assert.equal(audited.retired?.days, 1)
})

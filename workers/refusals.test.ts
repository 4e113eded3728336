import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault, type FaultCode } from '../core/faults.ts'
import { troubleReasonCharsMax } from '../core/limits.ts'
import { PostgresFault, refusal } from '../core/postgres/postgres-fault.ts'
import { isOfEntry, isPassing, ofEntry, publicTrouble, stateAfter } from './refusals.ts'

const refused = (sqlState: string) => new PostgresFault('refused', sqlState)

test('what waiting may help is told from what somebody has to repair', () => {
  for (const sqlState of ['57P01', '57P03', '08006', '53300', '40001', '40P01', '55P03', '57014', '53200'])
    assert.deepEqual([isPassing(refused(sqlState)), stateAfter(refused(sqlState))], [true, 'away'], sqlState)
  for (const sqlState of ['42P01', '42501', '42883', '25006', '53100', '22021', '23505', 'P0001', 'XX000'])
    assert.deepEqual([isPassing(refused(sqlState)), stateAfter(refused(sqlState))], [false, 'refused'], sqlState)
  const others: [FaultCode, boolean, string][] = [
    ['HC_SCHEMA', false, 'refused'],
    ['HC_LOG_GAP', false, 'log_fault'],
    ['HC_LOG_LOST', false, 'log_fault'],
    ['HC_LOG_MALFORMED', false, 'log_fault'],
    ['HC_LOG_TERMS', false, 'log_fault'],
    ['HC_POSTGRES_LOCKED', true, 'locked'],
    ['HC_POSTGRES_UNAVAILABLE', true, 'away'],
    ['HC_REDIS_UNAVAILABLE', true, 'away'],
  ]
  for (const [code, passes, state] of others)
    assert.deepEqual([isPassing(new Fault(code, '')), stateAfter(new Fault(code, ''))], [passes, state], code)
})

test('only what an entry holds makes it look for the entry, which is named', () => {
  assert.deepEqual(
    ['22021', '23505', '42P01', '57014'].map((sqlState) => isOfEntry(refused(sqlState))),
    [true, true, false, false],
  )
  const terms = new Fault('HC_LOG_TERMS', 'sale 7')
  assert.deepEqual([terms, new Fault('HC_LOG_GAP', '')].map(isOfEntry), [true, false])
  const place = { epoch: 3, seq: 7 }
  assert.deepEqual(publicTrouble(ofEntry(terms, place)), { fault: 'HC_LOG_TERMS', reason: 'the log entry 3-7: sale 7' })
  const { fault, reason } = publicTrouble(ofEntry(refused('22021'), place))
  assert.deepEqual([fault, reason.startsWith('the log entry 3-7: ')], ['HC_POSTGRES_REFUSED', true])
})

test('what is shown is short, and has nothing of libpq', () => {
  assert.deepEqual(publicTrouble(new PostgresFault('connection to "db.shop" as "ann" failed')), {
    fault: 'HC_POSTGRES_UNAVAILABLE',
    reason: '',
  })
  const long = refusal({ sqlState: '42P01', messagePrimary: 'x'.repeat(1_000) })
  assert.equal(publicTrouble(long).reason.length, troubleReasonCharsMax)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PostgresFault, refusal, scrubbed } from './postgres-fault.ts'

test('a lost connection is told from a refused statement by the sqlstate', () => {
  for (const gone of [undefined, '08006', '08P01', '57P01', '57P02', '57P03', '57P05', '53300']) {
    assert.equal(new PostgresFault('gone', gone).code, 'HC_POSTGRES_UNAVAILABLE', gone)
  }
  for (const refused of ['23505', '42P01', '57014', '53100', '40001', '28P01']) {
    assert.equal(new PostgresFault('refused', refused).code, 'HC_POSTGRES_REFUSED', refused)
  }
})

test('a refusal says what the server said, but not the line that it quotes', () => {
  const fault = refusal({
    sqlState: '22P02',
    messagePrimary: 'invalid input syntax for type bigint: "x"',
    messageDetail: 'a detail',
    context: 'COPY purchases, line 1: "a code that buys"',
  })
  assert.equal(fault.message, 'invalid input syntax for type bigint: "x" [22P02]')
  assert.equal(fault.sqlState, '22P02')
})

test('a refusal names the duplicate key', () => {
  const fields = { sqlState: '23505', messagePrimary: 'duplicate key', messageDetail: 'Key (a)=(1) already exists.' }
  assert.equal(refusal(fields).message, 'duplicate key: Key (a)=(1) already exists. [23505]')
})

test('a refusal quotes no row that a constraint refuses', () => {
  const messageDetail = 'Failing row contains (ann, a code that buys).'
  const fault = refusal({ sqlState: '23514', messagePrimary: 'violates check constraint', messageDetail })
  assert.equal(fault.message, 'violates check constraint [23514]')
})

test('the public reason has names of tables and constraints, and no values', () => {
  const rights = { sqlState: '42501', messagePrimary: 'permission denied for table purchases', messageDetail: 'ann' }
  assert.equal(refusal(rights).publicReason, 'permission denied for table purchases [42501]')
  const duplicate = {
    sqlState: '23505',
    messagePrimary: 'duplicate key value',
    messageDetail: 'Key (nonce)=(a code that buys) already exists.',
    tableName: 'purchases',
    constraintName: 'purchases_nonce_key',
  }
  const reason = 'a row is refused for the table purchases by the constraint purchases_nonce_key [23505]'
  assert.equal(refusal(duplicate).publicReason, reason)
  for (const sqlState of ['22P02', '22021', 'P0001', 'XX000'])
    assert.equal(refusal({ sqlState, messagePrimary: 'not "ann"' }).publicReason, `a row is refused [${sqlState}]`)
  assert.equal(new PostgresFault('connection to "db.shop", user "ann"').publicReason, '')
})

test('a message is one line without the password', () => {
  assert.equal(scrubbed('failed:\n  no "s3cret" here\n', 's3cret'), 'failed:; no "***" here')
  assert.equal(scrubbed('failed', ''), 'failed')
})

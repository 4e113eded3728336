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

test('a message is one line without the password', () => {
  assert.equal(scrubbed('failed:\n  no "s3cret" here\n', 's3cret'), 'failed:; no "***" here')
  assert.equal(scrubbed('failed', ''), 'failed')
})

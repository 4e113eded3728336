import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type PersisterState, persisterFields, persisterStates, readPersisterState } from './persister-state.ts'

const base = { position: { epoch: 1, seq: 9 }, host: 'here', pid: 7 } as const
const refused: PersisterState = {
  ...base,
  state: 'refused',
  trouble: { fault: 'HC_POSTGRES_REFUSED', reason: 'permission denied for table purchases [42501]' },
}

function read(fields: Readonly<Record<string, string | number>>): PersisterState | undefined {
  return readPersisterState(
    Object.entries(fields)
      .flat()
      .map((part) => Buffer.from(String(part))),
  )
}

test('what a persister says of itself is read as it was written', () => {
  for (const state of persisterStates) assert.deepEqual(read(persisterFields({ ...base, state })), { ...base, state })
  assert.deepEqual(read(persisterFields(refused)), refused)
  assert.equal(read({}), undefined)
})

test('a server of an earlier version takes no trouble for a Postgres that is up', () => {
  for (const state of ['refused', 'locked', 'log_fault'] as const)
    assert.equal(persisterFields({ ...base, state })['state'], 'away')
})

test('what an earlier version writes over it is read without what stood there before', () => {
  const earlier = { position: '1-10', host: 'there', pid: 8 }
  const expected = { position: { epoch: 1, seq: 10 }, host: 'there', pid: 8 }
  for (const state of ['active', 'standby', 'away'] as const) {
    assert.deepEqual(read({ ...persisterFields(refused), ...earlier, state }), { ...expected, state })
    assert.deepEqual(read({ ...earlier, state }), { ...expected, state })
  }
})

test('a state of a later version counts as away', () => {
  assert.equal(read({ ...persisterFields(refused), detail: 'asleep' })?.state, 'away')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { noRun } from './record-head.ts'
import { replacedFault, standingOf } from './standing.ts'

/** In Redis: its epoch and whom it names. In Postgres: whom it names, and the runs of its epochs, from the first on. */
function standing(
  redis: { epoch?: number; names?: string; began?: string },
  postgres: { names?: string; epochs: readonly string[] },
  history: { id: string; before?: string } = { id: 'first' },
) {
  const epochs = postgres.epochs.map((run, place) => ({ epoch: place + 1, run, after: undefined }))
  const { epoch, names: admittedRun, began: historyAtAdmission } = redis
  const asked = { run: 'ours', history: { before: undefined, ...history } }
  return standingOf(asked, { epoch, admittedRun, historyAtAdmission }, { run: postgres.names, epochs })
}

test('a run is admitted when Redis and Postgres name it in the same epoch', () => {
  assert.equal(standing({ epoch: 1, names: 'ours' }, { names: 'ours', epochs: ['ours'] }), 'admitted')
  assert.equal(standing({ epoch: 2, names: 'ours' }, { names: 'ours', epochs: ['theirs', 'ours'] }), 'admitted')
})

test('it waits when one of them names another, or when Postgres was told of an epoch that has not begun', () => {
  assert.equal(standing({ epoch: 1, names: 'gone' }, { names: 'gone', epochs: ['gone'] }), 'waiting', 'a restart')
  assert.equal(standing({ epoch: 1, names: noRun }, { names: 'ours', epochs: ['ours'] }), 'waiting', 'withdrawn')
  assert.equal(
    standing({ epoch: 1, names: 'ours' }, { names: 'ours', epochs: ['gone', 'ours'] }),
    'waiting',
    'cut short',
  )
  assert.equal(standing({ epoch: 1, names: 'ours' }, { epochs: [] }), 'waiting', 'a version before let it decide')
  assert.equal(standing({ names: 'ours' }, { names: 'ours', epochs: ['ours'] }), 'waiting', 'fenced off, or emptied')
  assert.equal(
    standing({ epoch: 1, names: 'ours' }, { names: noRun, epochs: ['ours', noRun] }),
    'waiting',
    'declared lost',
  )
})

test('it was replaced when it had begun the epoch of its data, and a later one began with another', () => {
  assert.equal(standing({ epoch: 1, names: 'ours' }, { names: 'theirs', epochs: ['ours', 'theirs'] }), 'replaced')
  assert.equal(standing({ epoch: 1, names: noRun }, { names: 'theirs', epochs: ['ours', 'theirs'] }), 'replaced')
  const back = standing({ epoch: 2, names: 'theirs' }, { names: 'theirs', epochs: ['ours', 'theirs'] })
  assert.equal(back, 'waiting', 'it was a replica of the other meanwhile, and has its data')
})

test('it waits when it was promoted since it began the epoch of its data: what was replaced is what it was before', () => {
  const replaced = { names: 'theirs', epochs: ['ours', 'theirs'] }
  const data = { epoch: 1, names: 'ours', began: 'first' }
  assert.equal(standing(data, replaced, { id: 'second', before: 'theirs' }), 'waiting')
  assert.equal(
    standing({ ...data, names: noRun }, replaced, { id: 'second', before: 'theirs' }),
    'waiting',
    'withdrawn',
  )
  assert.equal(standing(data, replaced, { id: 'first' }), 'replaced', 'it goes on as if nothing had been')
  assert.equal(
    standing(data, replaced, { id: 'first', before: 'older' }),
    'replaced',
    'it was promoted before it began it',
  )
  assert.equal(standing(data, replaced, { id: 'second' }), 'replaced', 'it has had no replica for long')
  const unsaid = { epoch: 1, names: 'ours' }
  assert.equal(standing(unsaid, replaced, { id: 'second', before: 'theirs' }), 'replaced', 'a version before began it')
})

test('the fault names the other run and its epoch', () => {
  const { code, message } = replacedFault({ run: 'theirs', epochs: [{ epoch: 7, run: 'theirs', after: undefined }] })
  assert.equal(code, 'HC_RUN_REPLACED')
  assert.match(message, /\(theirs\) .* in epoch 7/)
})

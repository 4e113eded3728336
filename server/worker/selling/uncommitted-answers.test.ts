import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { parseLogPosition } from '../../../core/log-position.ts'
import { UncommittedAnswers } from './uncommitted-answers.ts'

function setUp(t: TestContext, { waitMsMax = 60_000 } = {}) {
  const answered: string[] = []
  const late: number[] = []
  const answers = new UncommittedAnswers({ waitMsMax, countMax: 4, onLate: (count) => late.push(count) })
  t.after(() => answers.close())
  const add = (logId: string, body = logId) =>
    answers.add(logId, {
      exchange: {
        answer: (_head, sent) => answered.push(String(sent)),
        unrecorded: () => answered.push(`${body} unrecorded`),
      },
      body,
      headers: '',
    })
  const commit = (id: string) => answers.commit(parseLogPosition(id))
  return { answers, answered, late, add, commit }
}

test('a commit releases the answers up to it, in their order, and no others', (t) => {
  const { answers, answered, add, commit } = setUp(t)
  add('1-5', 'a')
  add('1-5', 'b')
  add('1-7', 'c')
  add('1-9', 'd')
  commit('1-4')
  assert.deepEqual([answered, answers.count], [[], 4])
  commit('1-8')
  assert.deepEqual([answered, answers.count], [['a', 'b', 'c'], 1])
  commit('1-9')
  assert.deepEqual([answered, answers.count], [['a', 'b', 'c', 'd'], 0])
})

test('a word of a commit that comes before the decision, twice or late does no harm', (t) => {
  const { answered, add, commit } = setUp(t)
  commit('1-6')
  add('1-5')
  assert.deepEqual(answered, ['1-5'], 'at once')
  add('1-7')
  commit('1-6')
  commit('1-3')
  assert.deepEqual(answered, ['1-5'])
  commit('1-7')
  commit('1-7')
  assert.deepEqual(answered, ['1-5', '1-7'])
})

test('a commit of an epoch that follows on nothing proves nothing of an older one, before the decision or after', (t) => {
  const { answers, answered, add, commit } = setUp(t)
  add('1-5')
  add('1-6')
  commit('1-5')
  answers.epochBegan(2, null)
  commit('2-0')
  add('1-7')
  assert.deepEqual(answered, ['1-5', '1-6 unrecorded', '1-7 unrecorded'])
  add('2-1')
  commit('1-9')
  assert.equal(answered.length, 3, 'an older epoch goes on in vain')
  commit('2-1')
  assert.deepEqual(answered.slice(3), ['2-1'])
})

test('a commit of an epoch that follows on an older one proves that up to where it ended', (t) => {
  const { answers, answered, add, commit } = setUp(t)
  add('1-5')
  add('1-7')
  answers.epochBegan(2, parseLogPosition('1-6'))
  assert.deepEqual(answered, [])
  commit('2-1')
  assert.deepEqual(answered, ['1-5', '1-7 unrecorded'])
  add('1-6')
  assert.deepEqual(answered.slice(2), ['1-6'], 'the word of the commit came first')
})

test('as long as nobody says how an epoch followed on an older one, answers of the older one wait, and no others', (t) => {
  const { answers, answered, add, commit } = setUp(t)
  add('1-5')
  add('2-2')
  add('3-1')
  commit('3-1')
  assert.deepEqual(answered, ['3-1'])
  answers.epochBegan(3, parseLogPosition('2-2'))
  assert.deepEqual(answered.slice(1), ['2-2'])
  answers.epochBegan(2, parseLogPosition('1-4'))
  assert.deepEqual([answered.slice(2), answers.count], [['1-5 unrecorded'], 0])
})

test('of an epoch that never came to be nothing was committed', (t) => {
  const { answers, answered, add, commit } = setUp(t)
  add('2-1')
  answers.epochBegan(3, parseLogPosition('1-4'))
  commit('3-1')
  assert.deepEqual(answered, ['2-1 unrecorded'])
})

test('an answer that waited too long is given up, and those behind it have their own time', async (t) => {
  const { answers, answered, late, add, commit } = setUp(t, { waitMsMax: 50 })
  const started = performance.now()
  add('1-1')
  while (late.length === 0) await new Promise(setImmediate)
  assert.ok(performance.now() - started >= 49)
  assert.deepEqual([answered, late], [['1-1 unrecorded'], [1]])
  add('1-2')
  add('1-3')
  commit('1-2')
  while (late.length === 1) await new Promise(setImmediate)
  assert.deepEqual(
    [answered.slice(1), late],
    [
      ['1-2', '1-3 unrecorded'],
      [1, 1],
    ],
  )
  assert.equal(answers.count, 0)
})

test('it is full at its bound and takes what was decided nevertheless', (t) => {
  const { answers, add, commit } = setUp(t)
  for (const seq of [1, 2, 3]) add(`1-${seq}`)
  assert.equal(answers.isFull, false)
  add('1-4')
  assert.equal(answers.isFull, true)
  add('1-5')
  assert.equal(answers.count, 5)
  commit('1-2')
  assert.equal(answers.isFull, false)
})

test('when it closes, all that wait are given up, and all that come', (t) => {
  const { answers, answered, add, commit } = setUp(t)
  add('1-1')
  answers.close()
  add('1-2')
  commit('1-2')
  assert.deepEqual([answered, answers.count], [['1-1 unrecorded', '1-2 unrecorded'], 0])
})

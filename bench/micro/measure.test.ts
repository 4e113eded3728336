import assert from 'node:assert/strict'
import { test } from 'node:test'

import { measureCase, quantile } from './measure.ts'
import { type Candidate, over } from './subject.ts'

const settings = { rounds: 3, ms: 1, samplesMin: 2, signal: new AbortController().signal }
const numbers = [1, 2, 3, 4]

function candidate(name: string, operation: (input: number) => unknown): Candidate {
  return { name, ...over(numbers, operation) }
}

test('a candidate with another result makes its case void, and nothing is timed', async () => {
  let calls = 0
  const wrong = candidate('wrong at 3', (input) => {
    calls += 1
    return input === 3 ? 10 : input * 2
  })
  const candidates = [candidate('double', (input) => input * 2), wrong]
  const measured = await measureCase('doubling', { name: 'numbers', operation: 'number', candidates }, settings)
  assert.match(measured.void ?? '', /wrong at 3/)
  assert.deepEqual(measured.candidates, [])
  assert.equal(calls, numbers.length)
})

test('times and meters are for one operation, and the first candidate is what others are compared with', async () => {
  let operations = 0
  const counted: Candidate = {
    ...candidate('counted', (input) => input * 2),
    run: () => {
      operations += numbers.length
    },
    meter: () => Promise.resolve({ thrice: operations * 3 }),
  }
  const candidates = [candidate('double', (input) => input * 2), counted]
  const measured = await measureCase('doubling', { name: 'numbers', operation: 'number', candidates }, settings)
  const [first, second] = measured.candidates
  assert.equal(measured.void, undefined)
  assert.equal(first?.ratio, 1)
  assert.deepEqual([first?.ratioMin, first?.ratioMax], [1, 1])
  assert.ok(first?.samples !== undefined && first.samples >= settings.rounds * settings.samplesMin)
  assert.deepEqual(second?.metered, { thrice: 3 })
})

test('a measurement that was called off ends with that', async () => {
  const calledOff = { ...settings, signal: AbortSignal.abort() }
  const candidates = [candidate('double', (input) => input * 2)]
  await assert.rejects(measureCase('doubling', { name: 'numbers', operation: 'number', candidates }, calledOff), {
    name: 'AbortError',
  })
})

test('a quantile lies between its neighbours', () => {
  assert.equal(quantile([1, 2, 3, 4], 0.5), 2.5)
  assert.equal(quantile([5], 0.25), 5)
  assert.equal(quantile([1, 2, 3], 1), 3)
})

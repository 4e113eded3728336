import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CpuProfile, selfTimes } from './cpu-profile.ts'

const frame = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber, columnNumber: 0 })
const profile: CpuProfile = {
  startTime: 1_000,
  nodes: [
    { id: 1, callFrame: frame('(root)') },
    { id: 2, callFrame: frame('(idle)') },
    { id: 3, callFrame: frame('decide', 'file:///a.js', 4) },
    { id: 4, callFrame: frame('decide', 'file:///a.js', 4) },
    { id: 5, callFrame: frame('(program)') },
  ],
  samples: [2, 3, 5, 4, 2],
  timeDeltas: [0, 10, 20, 30, 40],
}

test('a function has the time of all its call sites, idle time is nobody’s', () => {
  const times = selfTimes(profile, { fromUs: 0, toUs: Infinity })
  assert.deepEqual(times.functions, [
    { name: 'decide', place: 'file:///a.js:5', selfUs: 20 + 40 },
    { name: '(program)', place: '', selfUs: 30 },
  ])
  assert.equal(times.busyUs, 90)
  assert.equal(times.idleUs, 10)
})

test('samples outside the load are left out', () => {
  const times = selfTimes(profile, { fromUs: 1_030, toUs: 1_060 })
  assert.deepEqual(times.functions, [{ name: '(program)', place: '', selfUs: 30 }])
})

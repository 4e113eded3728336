import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findScenario } from '../load/scenarios.ts'
import { type Evidence, notesOn, problemsOf } from './judgement.ts'
import { newTally } from './tally.ts'
import { anyReport, anyRun } from './test-report.ts'

function evidence(overrides: Partial<Evidence> = {}): Evidence {
  const run = anyRun()
  return {
    ...run,
    settings: anyReport().settings,
    isOwnServer: true,
    audit: run.audit,
    drainSeconds: 0.2,
    generatorCpuSeconds: [0.2],
    usedUpSecond: undefined,
    saleChanges: 0,
    fileSystem: 'ext4',
    others: { cores: 0, stolenCores: 0 },
    cores: 2,
    ...overrides,
  }
}

test('a run whose answers are all on record is a result, without a word', () => {
  assert.deepEqual(problemsOf(evidence()), [])
  assert.deepEqual(notesOn(evidence()), [])
})

test('a run without a single success is no result', () => {
  const tally = { ...newTally(), rejected: { item_sold: 10 } }
  assert.match(problemsOf(evidence({ tally, audit: undefined })).join(), /not one request was answered with a 2xx/)
})

test('successes in the warm-up are enough: rejections may be what is measured', () => {
  const tally = { ...newTally(), rejected: { item_sold: 10 } }
  const warmup = { ...newTally(), holds: 5 }
  assert.deepEqual(problemsOf(evidence({ tally, warmup, audit: { verdict: 'passed', attempts: 15 } })), [])
})

test('a run whose audit fails, in whichever way, is no result', () => {
  const breaches = ['no item is sold twice (3)']
  assert.match(problemsOf(evidence({ audit: { verdict: 'breached', breaches } })).join(), /sold twice \(3\)/)
  assert.equal(problemsOf(evidence({ audit: { verdict: 'failed' } })).length, 1)
  assert.equal(problemsOf(evidence({ audit: { verdict: 'incomplete' } })).length, 1)
})

test('an answered attempt that is not on record makes it no result', () => {
  const problems = problemsOf(evidence({ audit: { verdict: 'passed', attempts: 1_499 } }))
  assert.match(problems.join(), /1500 attempts were answered, but only 1499 are on record/)
})

test('a record of attempts that nobody made makes it no result', () => {
  const audit = { verdict: 'passed', attempts: 1_502 } as const
  assert.match(problemsOf(evidence({ audit })).join(), /1502 attempts are on record/)
  // Two requests were lost: they may have been decided.
  const tally = { ...anyRun().tally, socketErrors: { ECONNRESET: 2 } }
  assert.deepEqual(problemsOf(evidence({ audit, tally })), [])
  assert.deepEqual(problemsOf(evidence({ audit, isOwnServer: false })), [], 'others may have used that server')
})

test('what is malformed leaves no row', () => {
  const tally = { ...anyRun().tally, rejected: { invalid_request: 5, item_sold: 2 } }
  assert.deepEqual(problemsOf(evidence({ tally, audit: { verdict: 'passed', attempts: 1_502 } })), [])
})

test('a wrong answer makes it no result', () => {
  const tally = { ...anyRun().tally, unexpected: { 'a copy was answered differently': 1 } }
  assert.match(problemsOf(evidence({ tally })).join(), /answered differently, 1 times/)
})

test('a run that never got to its measurement is no result', () => {
  assert.match(problemsOf(evidence({ seconds: 0 })).join(), /before the measurement began/)
})

test('the reader is told what a number may be limited by', () => {
  const settings = { ...(findScenario('steady') ?? assert.fail()).settings, rate: 2_000, seconds: 60 }
  const tally = { ...anyRun().tally, failed: { overloaded: 3 }, timeouts: 1 }
  const notes = notesOn(
    evidence({
      settings,
      tally,
      interrupted: true,
      neverSent: 40,
      generatorCpuSeconds: [0.97],
      usedUpSecond: 0.4,
      saleChanges: 2,
      drainSeconds: undefined,
      fileSystem: 'tmpfs',
      others: { cores: 0.7, stolenCores: 0 },
    }),
  ).join('\n')
  for (const said of [
    /stopped after 1\.0 of 60 s/,
    /generator used 0\.97 cores/,
    /offered rate was not achieved: 40 requests/,
    /every item had been asked for after 0\.4 s/,
    /sale changed 2 times/,
    /4 requests failed: 0\.266 %/,
    /not seen drained/,
    /tmpfs/,
    /others used 0\.70 of 2 cores/,
  ])
    assert.match(notes, said)
})

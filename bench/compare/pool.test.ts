import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anyReport, anyRun } from '../report/test-report.ts'
import { pooled } from './pool.ts'

const run = anyRun()

test('reports with the same label, commit and settings are repeats of one another', () => {
  const before = anyReport({ label: 'before', runs: [run] })
  const after = anyReport({ label: 'after', runs: [run, run] })
  const [first, second, ...others] = pooled([before, after, before, before, after])
  assert.deepEqual([first?.label, first?.runs.length], ['before', 3])
  assert.deepEqual([second?.label, second?.runs.length], ['after', 4])
  assert.deepEqual(others, [])
})

test('what differs in a setting or in the commit, or has no label, stands by itself', () => {
  const report = anyReport({ label: 'a', runs: [run] })
  const otherSetting = { ...report, settings: { ...report.settings, connections: report.settings.connections + 1 } }
  const otherCommit = { ...report, machine: { ...report.machine, commit: 'f'.repeat(40) } }
  const otherServer = { ...report, server: { ...report.server, env: { APP_WORKERS: '1' } } }
  assert.equal(pooled([report, otherSetting, otherCommit, otherServer]).length, 4)
  const unlabelled = anyReport({ runs: [run] })
  assert.equal(pooled([unlabelled, unlabelled]).length, 2)
})

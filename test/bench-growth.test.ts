// The growth bench is run as a user would run it, small and short: so that it can't rot. No number of it is looked at for its
// size.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'

import { pidsOfFamily } from '../bench/harness/process-cpu.ts'
import { runBench, startBench } from './helpers/bench.ts'
import { eventually } from './helpers/eventually.ts'
import { temporaryFolder } from './helpers/scope.ts'

const outcomesOf: Readonly<Record<string, readonly string[]>> = {
  'taken and given back': ['held', 'released'],
  'items of others': ['item_held'],
  'sold items': ['item_sold'],
}

test('sales that differ in buyers alone are loaded with requests that are decided alike, and their records are right', async (t) => {
  const { exitCode, stdout, stderr } = await runBench(t, 'growth', ['buyers', '--smoke', '--json'])
  assert.equal(exitCode, 0, stderr)
  const { loads, audits } = JSON.parse(stdout).results.buyers
  assert.deepEqual(Object.values(audits), [true, true])
  assert.equal(loads.length, 6, 'two sales, three kinds of requests')
  for (const { kind, decided } of loads) assert.deepEqual(Object.keys(decided).toSorted(), outcomesOf[kind], kind)
  // In one load of a second Redis may use less than the 10 ms that the kernel counts in.
  for (const role of ['HTTP', 'Redis'])
    assert.ok(
      loads.some(({ cpuUsByRole }: { cpuUsByRole: Record<string, number> }) => (cpuUsByRole[role] ?? 0) > 0),
      role,
    )
})

test('a held and a sold item are weighed, and a backlog is drained beside a copy of the same rows', async (t) => {
  const { exitCode, stdout, stderr } = await runBench(t, 'growth', [
    'memory',
    'drain',
    '--smoke',
    '--json',
    '--items',
    '5000',
  ])
  assert.equal(exitCode, 0, stderr)
  const { memory, drain } = JSON.parse(stdout).results
  const [{ items, held, sold }] = memory
  assert.equal(items, 5_000)
  for (const { item, buyer, all } of [held, sold]) {
    assert.ok(item > 30 && buyer > 10, 'an entry is not smaller than what is in it')
    // Of so few items it is hardly more than Redis' buffers.
    assert.ok(all > 0, `${all} bytes together`)
  }
  assert.deepEqual(
    drain.backlogs.map(({ rows, entries }: { rows: number; entries: number }) => [rows, entries]),
    [
      [2_000, 25],
      [8_000, 2_000],
    ],
  )
  for (const { rowsPerSecond, copyRowsPerSecond } of drain.backlogs)
    assert.ok(rowsPerSecond > 0 && copyRowsPerSecond > 0)
})

test('a signal ends it, and leaves neither a process nor a file', async (t) => {
  const temporary = temporaryFolder(t)
  const bench = startBench(t, 'growth', ['memory', '--items', '1000000'], { TMPDIR: temporary })
  const pid = bench.child.pid ?? 0
  const family = await eventually(
    () => {
      const pids = pidsOfFamily(pid)
      return pids.length > 5 ? pids : undefined
    },
    { what: 'the server' },
  )
  bench.child.kill('SIGTERM')
  const { exitCode, stdout, stderr } = await bench.ended()
  assert.equal(exitCode, 130, stderr)
  assert.match(stderr, /interrupted: all that was started is stopped\n$/)
  assert.equal(stdout, '')
  // What was killed needs a moment to be gone.
  await eventually(
    () => {
      assert.deepEqual(
        family.filter((each) => pidsOfFamily(each).length > 0),
        [],
      )
      assert.deepEqual(readdirSync(temporary), [])
      return true
    },
    { deadlineMs: 20_000, what: 'the end of all that it started' },
  )
})

test('what it has no table of, and numbers that can not be measured, are refused before anything is started', async (t) => {
  const refusals: [readonly string[], RegExp][] = [
    [['users'], /what is users\? There are items, buyers, memory, drain/],
    [['drain', '--rounds', '9'], /--rounds must be at most 8 with a backlog of 100,000/],
    [['items', '--connections', '2000'], /--connections must be at most 1250 with so few items/],
    [['buyers', '--buyers', '9'], /--buyers must be a whole number from 10 to 10000000/],
  ]
  for (const [args, words] of refusals) {
    const { exitCode, stderr } = await runBench(t, 'growth', args)
    assert.equal(exitCode, 2, args.join(' '))
    assert.match(stderr, words)
  }
})

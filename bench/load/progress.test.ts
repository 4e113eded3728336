import assert from 'node:assert/strict'
import { test } from 'node:test'

import { newTally } from '../report/tally.ts'
import { Progress } from './progress.ts'
import type { Settings } from './settings.ts'

function setUp({ isTTY, generators }: { isTTY: boolean; generators: number }) {
  const written: string[] = []
  const out = { isTTY, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream
  const progress = new Progress('a run', { generators, seconds: 60 } as Settings, out)
  const add = (second: number, holds: number) => progress.add({ second, tally: { ...newTally(), holds } })
  return { add, written }
}

test('off a terminal every tenth second has one line, of what all generators counted', () => {
  const { add, written } = setUp({ isTTY: false, generators: 2 })
  for (let second = 0; second < 20; second++) for (const holds of [300, 400]) add(second, holds)
  assert.deepEqual(written, [
    'a run: 10/60 s  700 req/s  goodput 700/s  errors 0\n',
    'a run: 20/60 s  700 req/s  goodput 700/s  errors 0\n',
  ])
})

test('what comes of a second that was shown makes no second line', () => {
  for (const isTTY of [false, true]) {
    const { add, written } = setUp({ isTTY, generators: 1 })
    add(9, 500)
    add(9, 3)
    assert.equal(written.length, 1)
    assert.match(written[0] ?? '', /10\/60 s {2}500 req\/s/)
  }
})

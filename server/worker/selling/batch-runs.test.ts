import assert from 'node:assert/strict'
import { test } from 'node:test'
import { afterCode, afterNonce, lendNonce } from '../../../core/decisions.ts'
import { inRuns } from './batch-runs.ts'
import type { PendingCommand } from './batcher.ts'
import { SoldItems } from './sold-items.ts'

const nonce = 'n'.repeat(16)
const nothing = () => undefined

function command(sale: number, index: string, user: string, itsNonce = nonce): PendingCommand {
  return { sale, index, nonce: itsNonce, user, arrivedMs: 0, decided: nothing, failed: nothing, late: nothing }
}

function soldOnes(...indexes: string[]): SoldItems {
  const sold = new SoldItems()
  sold.decidedIn('1-1')
  for (const index of indexes) sold.learn(7, index)
  return sold
}

test('commands of one kind on one sale stand together, each run in the order of arrival', () => {
  const batch = [
    command(7, '1', 'ann'),
    command(7, '2', ''),
    command(6, '3', 'bob'),
    command(7, '4', 'cid'),
    command(6, '5', ''),
    command(7, '6', ''),
  ]
  const { commands, soldFrom } = inRuns(batch, new SoldItems())
  assert.deepEqual([commands.map(({ index }) => index), soldFrom], [['1', '4', '2', '6', '3', '5'], 6])
})

test('releases stand apart from purchases, with and without a buyer behind the code', () => {
  const [plain, bought] = [nonce, nonce + afterCode({ buyer: 'ann' })]
  const [given, givenByAnn] = [{}, { buyer: 'ann' }].map((one) => nonce + afterCode({ ...one, isRelease: true }))
  const batch = [
    command(7, '1', '', plain),
    command(7, '2', '', given),
    command(7, '3', '', bought),
    command(7, '4', '', givenByAnn),
    command(7, '5', 'ann'),
  ]
  const { commands } = inRuns(batch, soldOnes('2'))
  assert.deepEqual(
    commands.map(({ index }) => index),
    ['1', '3', '2', '4', '5'],
  )
})

test('checkouts of items that are known to be sold come last', () => {
  const batch = [command(7, '1', 'ann'), command(7, '2', 'bob'), command(6, '1', 'ann'), command(7, '1', 'cid')]
  const { commands, soldFrom } = inRuns(batch, soldOnes('1'))
  assert.deepEqual(commands, [batch[1], batch[2], batch[0], batch[3]])
  assert.equal(soldFrom, 2)
})

test('purchases, loans and checkouts that bring something take the long way', () => {
  const receipt = afterNonce([{ from: 1, epoch: 1, total: 1 }])
  const batch = [
    command(7, '1', ''),
    command(7, '1', 'ann', lendNonce),
    command(7, '1', 'ann', nonce + receipt),
    command(7, '1', 'ann', nonce + afterNonce([], { isLastWord: true })),
  ]
  assert.equal(inRuns(batch, soldOnes('1')).soldFrom, batch.length)
})

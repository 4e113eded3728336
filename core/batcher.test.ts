import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack } from 'msgpackr'
import { Batcher, type BatcherOptions, type PendingCommand } from './batcher.ts'
import { BatchReader } from './decisions.ts'
import { Fault } from './faults.ts'

/** A decider whose replies the test releases by hand: the batcher's rules are about what happens meanwhile. */
class ManualDecider {
  readonly batches: { indexes: string[]; release: () => void; fail: (error: unknown) => void }[] = []

  readonly decide = (batch: Buffer): Promise<{ results: Buffer; id: string }> => {
    const reader = new BatchReader(batch)
    const indexes: string[] = []
    while (reader.next()) indexes.push(reader.index)
    return new Promise((resolve, reject) => {
      const results = pack([1_000, ...indexes.map(() => 3)])
      const id = `1-${this.batches.length + 1}`
      this.batches.push({ indexes, release: () => resolve({ results, id }), fail: reject })
    })
  }
}

class Command implements PendingCommand {
  readonly sale = 1
  readonly nonce = 'n'.repeat(16)
  readonly user = 'ann'
  readonly index: string
  answer = ''

  constructor(index: number) {
    this.index = String(index)
  }

  decided(...[decision, logId]: Parameters<PendingCommand['decided']>): void {
    this.answer += `${decision.outcome}@${logId}`
  }

  failed(fault: Fault): void {
    this.answer += fault.code
  }
}

function setUp(bounds: Partial<BatcherOptions> = {}): { decider: ManualDecider; batcher: Batcher } {
  const decider = new ManualDecider()
  const defaults = { batchCommandsMax: 4, batchesInFlightMax: 2, batchOverlapCommandsMin: 1, commandsWaitingMax: 12 }
  const batcher = new Batcher({
    ...defaults,
    intervalMs: 1,
    onBatch: () => undefined,
    decide: decider.decide,
    ...bounds,
  })
  return { decider, batcher }
}

function commands(count: number, first = 1): Command[] {
  return Array.from({ length: count }, (_, at) => new Command(first + at))
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('commands of one turn leave as one batch, in their order', async () => {
  const { decider, batcher } = setUp()
  const three = commands(3)
  for (const command of three) assert.ok(batcher.offer(command))
  assert.equal(decider.batches.length, 0)
  await turn()
  assert.deepEqual(
    decider.batches.map((batch) => batch.indexes),
    [['1', '2', '3']],
  )
  decider.batches[0]?.release()
  await batcher.idle()
  assert.deepEqual(
    three.map((command) => command.answer),
    Array.from({ length: 3 }, () => 'item_unknown@1-1'),
  )
})

test('while the permitted batches are out the next one grows, up to its bound', async () => {
  const { decider, batcher } = setUp()
  for (const first of [1, 2]) {
    batcher.offer(new Command(first))
    await turn()
  }
  for (const command of commands(6, 3)) batcher.offer(command)
  await turn()
  assert.equal(decider.batches.length, 2)
  decider.batches[0]?.release()
  await turn()
  assert.deepEqual(decider.batches[2]?.indexes, ['3', '4', '5', '6'])
  assert.equal(batcher.waiting, 7)
})

test('while a call is out, a second one leaves only with enough commands to be worth it', async () => {
  const { decider, batcher } = setUp({ batchOverlapCommandsMin: 3 })
  batcher.offer(new Command(1))
  await turn()
  for (const command of commands(2, 2)) batcher.offer(command)
  await turn()
  assert.equal(decider.batches.length, 1)
  batcher.offer(new Command(4))
  await turn()
  assert.deepEqual(decider.batches[1]?.indexes, ['2', '3', '4'])

  batcher.offer(new Command(5))
  decider.batches[0]?.release()
  decider.batches[1]?.release()
  await turn()
  assert.deepEqual(decider.batches[2]?.indexes, ['5'])
})

test('over the bound of waiting commands an offer is refused and changes nothing', async () => {
  const { decider, batcher } = setUp()
  for (const command of commands(12)) assert.ok(batcher.offer(command))
  const refused = new Command(13)
  assert.equal(batcher.offer(refused), false)
  assert.equal(batcher.waiting, 12)
  for (let at = 0; at < 3; at++) {
    await turn()
    decider.batches[at]?.release()
  }
  await batcher.idle()
  assert.equal(refused.answer, '')
  assert.ok(batcher.offer(refused))
})

test('a failed batch fails each of its commands once, and no other', async () => {
  const { decider, batcher } = setUp({ batchCommandsMax: 2 })
  const four = commands(4)
  for (const command of four) batcher.offer(command)
  await turn()
  decider.batches[0]?.fail(new Fault('HC_REDIS_UNAVAILABLE', 'gone'))
  decider.batches[1]?.release()
  await batcher.idle()
  const answers = four.map((command) => command.answer)
  assert.deepEqual(answers, ['HC_REDIS_UNAVAILABLE', 'HC_REDIS_UNAVAILABLE', 'item_unknown@1-2', 'item_unknown@1-2'])
})

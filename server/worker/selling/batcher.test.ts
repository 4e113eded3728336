import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack } from 'msgpackr'
import { BatchReader, type EncodedBatch } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import { Batcher, type BatcherOptions, type PendingCommand } from './batcher.ts'
import { SoldItems } from './sold-items.ts'

/** A decider whose replies the test releases by hand: the batcher's rules are about what happens meanwhile. */
class ManualDecider {
  readonly batches: { indexes: string[]; release: () => void; fail: (error: unknown) => void }[] = []

  readonly decide = ({ entry }: EncodedBatch): Promise<{ results: Buffer; id: string }> => {
    const reader = new BatchReader(entry)
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
  readonly arrivedMs: number
  answer = ''

  constructor(index: number, arrivedMs = 0) {
    this.index = String(index)
    this.arrivedMs = arrivedMs
  }

  decided(...[decision, logId]: Parameters<PendingCommand['decided']>): void {
    this.answer += `${decision.outcome}@${logId}`
  }

  failed(fault: Fault): void {
    this.answer += fault.code
  }

  late(): void {
    this.answer += 'late'
  }
}

const deadlineMs = 100

/** `clock.ms` is the time; it stands still unless a test moves it. */
function setUp(bounds: Partial<BatcherOptions> = {}) {
  const decider = new ManualDecider()
  const clock = { ms: 0 }
  const defaults = { batchCommandsMax: 4, batchesInFlightMax: 2, batchOverlapCommandsMin: 1, commandsWaitingMax: 12 }
  const batcher = new Batcher({
    ...defaults,
    commandsWaitingMin: 2,
    deadlineMs,
    now: () => clock.ms,
    intervalMs: 1,
    onBatch: () => undefined,
    sold: new SoldItems(),
    decide: decider.decide,
    ...bounds,
  })
  return { decider, batcher, clock }
}

function commands(count: number, first = 1): Command[] {
  return Array.from({ length: count }, (_, at) => new Command(first + at))
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('commands of one turn leave as one batch, in their order', async () => {
  const { decider, batcher } = setUp()
  const three = commands(3)
  for (const command of three) batcher.offer(command)
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

test('a batch that is full leaves before the turn ends', () => {
  const { decider, batcher } = setUp()
  for (const command of commands(5)) batcher.offer(command)
  assert.deepEqual(
    decider.batches.map((batch) => batch.indexes),
    [['1', '2', '3', '4']],
  )
})

test('there is room for so many commands as may wait', async () => {
  const { decider, batcher } = setUp()
  for (const command of commands(12)) {
    assert.ok(batcher.hasRoom(0))
    batcher.offer(command)
  }
  assert.equal(batcher.hasRoom(0), false)
  for (let at = 0; at < 3; at++) {
    decider.batches[at]?.release()
    await turn()
  }
  await batcher.idle()
  assert.ok(batcher.hasRoom(0))
})

test('the slower the answers, the fewer may wait', async () => {
  const { decider, batcher, clock } = setUp()
  for (const command of commands(4)) batcher.offer(command)
  clock.ms += 40
  decider.batches[0]?.release()
  await batcher.idle()
  // 10 ms a command; to wait in there are 50 ms of the deadline, less what calls are known to take.
  for (const command of commands(4)) {
    assert.ok(batcher.hasRoom(clock.ms))
    batcher.offer(command)
  }
  assert.equal(batcher.hasRoom(clock.ms), false)
})

test('while Redis is silent for half the deadline there is no room', async () => {
  const { decider, batcher, clock } = setUp()
  batcher.offer(new Command(1))
  await turn()
  assert.ok(batcher.hasRoom(deadlineMs / 2))
  assert.equal(batcher.hasRoom(deadlineMs / 2 + 1), false)
  clock.ms = deadlineMs
  decider.batches[0]?.release()
  await batcher.idle()
  assert.ok(batcher.hasRoom(deadlineMs))
})

test('a command whose deadline has passed is not sent, and those after it are', async () => {
  const { decider, batcher, clock } = setUp({ batchesInFlightMax: 1 })
  batcher.offer(new Command(1))
  await turn()
  const [early, other] = [new Command(2, 10), new Command(3, 60)]
  batcher.offer(early)
  batcher.offer(other)
  clock.ms = 10 + deadlineMs + 1
  decider.batches[0]?.release()
  await turn()
  assert.equal(early.answer, 'late')
  assert.deepEqual(decider.batches[1]?.indexes, ['3'])
  decider.batches[1]?.release()
  await batcher.idle()
  assert.equal(other.answer, 'item_unknown@1-2')
})

test('a command that waits while Redis is silent is told so when its deadline passes', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { decider, batcher, clock } = setUp({ batchesInFlightMax: 1, batchCommandsMax: 1 })
  const [sent, waiting] = [new Command(1), new Command(2)]
  batcher.offer(sent)
  batcher.offer(waiting)
  await turn()
  decider.batches[0]?.release()
  await turn()
  const third = new Command(3)
  batcher.offer(third)
  await turn()
  clock.ms = deadlineMs + 1
  t.mock.timers.tick(deadlineMs + 1)
  assert.deepEqual([sent.answer, waiting.answer, third.answer], ['item_unknown@1-1', '', 'late'])
  decider.batches[1]?.release()
  await batcher.idle()
  assert.equal(waiting.answer, 'item_unknown@1-2', 'what was sent has its decision, however late')
})

test('only commands that have decided or changed something have a place in the log entry', async () => {
  const lent = [31, 1, '1,0;0,0']
  const received = [32, '0,1']
  const results = pack([1_000, 43, 3, 41, 1, '0,0;0,0', ...lent, ...received, 43, 42, 2, ...received, 1, 500, 44, 6])
  const { batcher } = setUp({ batchCommandsMax: 20, decide: () => Promise.resolve({ results, id: '1-1' }) })
  const places: [string, number | undefined][] = []
  for (const command of commands(9)) {
    command.decided = (decision, _, n) => void places.push([decision.reply, decision.isPlaced ? n : undefined])
    batcher.offer(command)
  }
  await batcher.idle()
  assert.deepEqual(places, [
    ['rights_elsewhere', undefined],
    ['item_unknown', 0],
    ['not_lent', undefined],
    ['lent', 1],
    ['rights_elsewhere', 2],
    ['misplaced', undefined],
    ['held', 3],
    ['not_listed', undefined],
    ['item_sold', 4],
  ])
})

test('a command that is offered again stands where its arrival puts it, and its deadline holds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { decider, batcher, clock } = setUp({ batchesInFlightMax: 1, batchCommandsMax: 10 })
  batcher.offer(new Command(1))
  await turn()
  for (const [index, arrivedMs] of [
    [2, 50],
    [3, 70],
  ] as const)
    batcher.offer(new Command(index, arrivedMs))
  clock.ms = 80
  const early = [new Command(4, 20), new Command(5, 60), new Command(6, 75)]
  for (const command of early) batcher.offerAgain(command)
  clock.ms = 20 + deadlineMs + 1
  t.mock.timers.tick(20 + deadlineMs + 1 - 80)
  assert.deepEqual(
    early.map(({ answer }) => answer),
    ['late', '', ''],
  )
  decider.batches[0]?.release()
  await turn()
  assert.deepEqual(decider.batches[1]?.indexes, ['2', '5', '3', '6'])
  decider.batches[1]?.release()
  await batcher.idle()
})

test('one that is offered again in an empty queue is told in time as well', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { decider, batcher, clock } = setUp({ batchesInFlightMax: 1 })
  batcher.offer(new Command(1))
  await turn()
  decider.batches[0]?.release()
  await batcher.idle()
  batcher.offer(new Command(2))
  await turn()
  clock.ms = 90
  const again = new Command(3, 10)
  batcher.offerAgain(again)
  clock.ms = 10 + deadlineMs + 1
  t.mock.timers.tick(21)
  assert.equal(again.answer, 'late')
  decider.batches[1]?.release()
  await batcher.idle()
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

test('a batch that has to be confirmed is told after that, and the next one leaves meanwhile', async () => {
  const confirms: ((fault?: Fault) => void)[] = []
  const results = pack([1_000, 3])
  const decide = (): ReturnType<BatcherOptions['decide']> => {
    const confirmed = new Promise<Fault | undefined>((resolve) => confirms.push(resolve))
    return Promise.resolve({ results, id: `1-${confirms.length}`, confirmed })
  }
  const { batcher } = setUp({ decide, batchesInFlightMax: 1 })
  const both = commands(2)
  for (const command of both) {
    batcher.offer(command)
    await turn()
  }
  assert.deepEqual([confirms.length, both.map(({ answer }) => answer), batcher.waiting], [2, ['', ''], 2])
  confirms[0]?.()
  await turn()
  assert.deepEqual([both.map(({ answer }) => answer), batcher.waiting], [['item_unknown@1-1', ''], 1])
  confirms[1]?.(new Fault('HC_REPLICA_LATE', 'a replica hangs'))
  await batcher.idle()
  assert.equal(both[1]?.answer, 'HC_REPLICA_LATE')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INVALID_SPAN_CONTEXT, trace } from '@opentelemetry/api'
import { pack } from 'msgpackr'

import { DecisionReader } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import { outcomes, replies } from '../../../core/outcomes.ts'
import type { ShedReason } from '../http/request-metrics.ts'
import { RequestTrace } from '../tracing/request-trace.ts'
import type { PendingCommand } from './batcher.ts'
import type { BuyerCommand, SellingShard } from './buyer-command.ts'
import { Detour } from './detour.ts'
import { SaleDirectory } from './sale-directory.ts'

const sale = 9
const notListed = [replies.not_listed.code]
const held = [outcomes.held.code, 1]
const gone = [outcomes.sale_gone.code]
const elsewhere = [replies.rights_elsewhere.code]
const misplaced = (shards: number) => [replies.misplaced.code, shards]

function decisionOf(reply: readonly number[]): DecisionReader {
  const decision = new DecisionReader(pack([1_000, ...reply]))
  decision.next()
  return decision
}

class Command implements BuyerCommand {
  readonly sale = sale
  readonly nonce = 'n'.repeat(16)
  readonly user = 'ann'
  readonly arrivedMs = 0
  readonly index: string
  readonly trace = new RequestTrace(trace.wrapSpanContext(INVALID_SPAN_CONTEXT))
  shard: SellingShard
  answer = ''

  constructor(index: string, shard: SellingShard) {
    this.index = index
    this.shard = shard
  }

  decided({ reply }: DecisionReader): void {
    this.answer += `${reply} of ${this.shard.number}`
  }

  failed({ code }: Fault): void {
    this.answer += code
  }

  late(): void {
    this.answer += 'late'
  }

  shed(reason: ShedReason): void {
    this.answer += reason
  }

  unavailable(): void {
    this.answer += 'unavailable'
  }
}

interface Way {
  readonly index: string
  /** Each shard that is asked, in order, with its reply. The first of them was asked before. */
  readonly replies: readonly (readonly [shard: number, reply: readonly number[] | 'failed' | 'late'])[]
  readonly away?: Readonly<Record<number, ShedReason>>
  readonly answer: string
  readonly learnt?: number
  readonly unlisted?: readonly number[]
}

/** Four shards; index 1 is of the first one, 2 of the second, and so on, where the sale has as many. */
function follow({ index, replies: script, away = {} }: Way) {
  const offered: { shard: number; command: PendingCommand }[] = []
  const shards = [0, 1, 2, 3].map((number): SellingShard => {
    const offerAgain = (command: PendingCommand) => void offered.push({ shard: number, command })
    return { number, refusal: () => away[number], batcher: { offerAgain } }
  })
  const directory = new SaleDirectory()
  const unlisted: number[] = []
  const options = {
    shards,
    directory,
    now: () => 0,
    onUnlisted: (_: number, shard: number) => void unlisted.push(shard),
  }
  const [[first, reply] = [0, []], ...rest] = script
  const command = new Command(index, shards[first] as SellingShard)
  assert.ok(typeof reply === 'object')
  new Detour(options, command).goOn(decisionOf(reply))
  for (const [shard, next] of rest) {
    const asked = offered.shift()
    assert.equal(asked?.shard, shard)
    assert.equal(command.answer, '')
    assert.equal(asked.command.trace, command.trace, 'the batch that decides it is linked with its request')
    if (next === 'failed') asked.command.failed(new Fault('HC_REDIS_UNAVAILABLE', ''))
    else if (next === 'late') asked.command.late()
    else asked.command.decided(decisionOf(next), '1-1', 0)
  }
  assert.deepEqual(offered, [], 'nobody else is asked')
  return { answer: command.answer, learnt: directory.shardsOf(sale), unlisted }
}

const ways: Readonly<Record<string, Way>> = {
  'a shard that lists the sale says where the item belongs': {
    index: '3',
    replies: [
      [0, misplaced(3)],
      [2, held],
    ],
    answer: 'held of 2',
    learnt: 3,
  },
  'the shard where it belongs has the last word about rights too': {
    index: '2',
    replies: [
      [0, misplaced(3)],
      [1, elsewhere],
    ],
    answer: 'rights_elsewhere of 1',
    learnt: 3,
  },
  'two shards that each say that it is the other one: nobody decides': {
    index: '3',
    replies: [
      [0, misplaced(3)],
      [2, misplaced(2)],
    ],
    answer: 'unavailable',
    learnt: 2,
  },
  'a shard that says that the item is its own, and is not': {
    index: '1',
    replies: [[0, misplaced(3)]],
    answer: 'unavailable',
    learnt: 3,
  },
  'the item is of a shard that this worker does not have': {
    index: '6',
    replies: [[0, misplaced(6)]],
    answer: 'unavailable',
    learnt: 6,
  },
  'the shard where it belongs turns it away': {
    index: '3',
    replies: [[0, misplaced(3)]],
    away: { 2: 'backlog_full' },
    answer: 'backlog_full',
    learnt: 3,
  },
  'the shard where it belongs does not list the sale yet': {
    index: '3',
    replies: [
      [0, misplaced(3)],
      [2, notListed],
    ],
    answer: 'unavailable',
    learnt: 3,
    unlisted: [2],
  },
  'a shard that does not list the sale has the first one asked, which may say that nobody does': {
    index: '3',
    replies: [
      [2, notListed],
      [0, gone],
    ],
    answer: 'sale_gone of 0',
    unlisted: [2],
  },
  'a shard that is known to have the item and lacks the sale is not asked twice': {
    index: '3',
    replies: [
      [2, notListed],
      [0, misplaced(3)],
    ],
    answer: 'unavailable',
    learnt: 3,
    unlisted: [2],
  },
  'while the first shard is away the others are asked in turn': {
    index: '2',
    replies: [
      [1, notListed],
      [3, misplaced(4)],
    ],
    away: { 0: 'redis_down', 2: 'record_unsound' },
    answer: 'unavailable',
    learnt: 4,
    unlisted: [1],
  },
  'one of the others knows where it belongs': {
    index: '4',
    replies: [
      [1, notListed],
      [2, misplaced(4)],
      [3, held],
    ],
    away: { 0: 'redis_down' },
    answer: 'held of 3',
    learnt: 4,
    unlisted: [1],
  },
  'none of the others lists the sale: nobody guesses': {
    index: '4',
    replies: [
      [1, notListed],
      [2, notListed],
      [3, notListed],
    ],
    away: { 0: 'redis_down' },
    answer: 'unavailable',
    unlisted: [1, 2, 3],
  },
  'the first shard may not touch the sale: nobody knows better': {
    index: '4',
    replies: [[0, notListed]],
    answer: 'unavailable',
    unlisted: [0],
  },
  'what happens at the next shard is what happened': {
    index: '3',
    replies: [
      [0, misplaced(3)],
      [2, 'failed'],
    ],
    answer: 'HC_REDIS_UNAVAILABLE',
    learnt: 3,
  },
  'its deadline holds on the way': {
    index: '3',
    replies: [
      [0, misplaced(3)],
      [2, 'late'],
    ],
    answer: 'late',
    learnt: 3,
  },
}

for (const [name, way] of Object.entries(ways)) {
  test(name, () => {
    assert.deepEqual(follow(way), { answer: way.answer, learnt: way.learnt, unlisted: way.unlisted ?? [] })
  })
}

test('a sale stays in the directory as long as it is due, and a bounded number of others do', () => {
  const directory = new SaleDirectory()
  directory.opened(1, 3)
  directory.opened(2, 4)
  directory.past(1)
  for (let n = 10; n < 10 + 5_000; n++) directory.learn(n, 2)
  assert.deepEqual(
    [1, 2, 10, 5_009].map((n) => directory.shardsOf(n)),
    [undefined, 4, undefined, 2],
  )
  directory.learn(2, 7)
  assert.equal(directory.shardsOf(2), 4, 'the terms that it was opened with hold')
})

import { textTable } from '../../core/text-table.mjs'
import { median } from '../harness/median.ts'
import type { BudgetResult, BudgetRound } from './budget.ts'

/** What one process must do for an answer, and what it does: us of CPU an answer, medians of all rounds. */
export interface Post {
  readonly role: string
  /** What it is for -> us. */
  readonly must: Readonly<Record<string, number>>
  readonly costs: number
}

export interface Budget {
  readonly answersPerSecond: number
  /** Of the floor's, in the same round. */
  readonly rateShare: number
  readonly floorUs: number
  /** Commands in a call. */
  readonly meanBatch: number
  readonly posts: readonly Post[]
  /** Of the function alone, in calls as large, with nothing else to do. */
  readonly functionUs: number
  /** From a call to its answer: of the function, of the log entry alone, and that without waiting for the disk. */
  readonly callMs: { readonly function: number; readonly log: number; readonly unsynced: number }
}

export function budgetOf({ rounds }: BudgetResult): Budget {
  const middle = (of: (round: BudgetRound) => number): number => median(rounds.map(of))
  const costs = (role: string): number => middle(({ hotcakes }) => hotcakes.cpuUs.get(role) ?? 0)
  const floorUs = middle(({ floor }) => floor.cpuUs.get('HTTP') ?? 0)
  const posts: Post[] = [
    {
      role: 'HTTP',
      must: {
        'to receive a request and answer it: the floor': floorUs,
        'its share of a call: to write and read one': middle(({ log }) => log.clientUs),
      },
      costs: costs('HTTP'),
    },
    {
      role: 'Redis',
      must: {
        'its share of a call that is logged': middle(({ unsynced }) => unsynced.redisUs),
        'its share of the fsync': middle(({ log, unsynced }) => Math.max(0, log.redisUs - unsynced.redisUs)),
        'to read and write its item and its buyer': middle(({ changes, log }) =>
          Math.max(0, changes.redisUs - log.redisUs),
        ),
      },
      costs: costs('Redis'),
    },
    {
      role: 'persister',
      must: { 'to hand over its row': middle(({ copy }) => copy.clientUs) },
      costs: costs('persister'),
    },
    {
      role: 'Postgres',
      must: { 'to take its row in': middle(({ copy }) => copy.postgresUs) },
      costs: costs('Postgres'),
    },
    { role: 'primary', must: {}, costs: costs('primary') },
  ]
  return {
    answersPerSecond: middle(({ hotcakes }) => hotcakes.answersPerSecond),
    rateShare: middle(({ hotcakes, floor }) => hotcakes.answersPerSecond / floor.answersPerSecond),
    floorUs,
    meanBatch: middle(({ hotcakes }) => hotcakes.meanBatch),
    posts,
    functionUs: middle((round) => round.function.redisUs),
    callMs: {
      function: middle((round) => round.function.callMs),
      log: middle(({ log }) => log.callMs),
      unsynced: middle(({ unsynced }) => unsynced.callMs),
    },
  }
}

export function mustOf({ must }: Post): number {
  return Object.values(must).reduce((sum, us) => sum + us, 0)
}

export function budgetText(connections: number, result: BudgetResult): string {
  const budget = budgetOf(result)
  const { posts, floorUs, meanBatch, callMs } = budget
  const [must, costs] = [posts.map(mustOf), posts.map((post) => post.costs)].map((each) =>
    each.reduce((sum, us) => sum + us, 0),
  ) as [number, number]
  const row = (name: string, post: { must: number; costs?: number }): string[] => [
    name,
    inUs(post.must),
    ...(post.costs === undefined
      ? ['', '']
      : [inUs(post.costs), post.must === 0 ? '' : (post.costs / post.must).toFixed(1)]),
  ]
  const rows = posts.flatMap((post) => [
    row(post.role, { must: mustOf(post), costs: post.costs }),
    ...Object.entries(post.must).map(([name, part]) => row(`  ${name}`, { must: part })),
  ])
  const times = (sum: number): string => `${(sum / floorUs).toFixed(2)} times the floor`
  const perSecond = (ms: number): string => Math.round((meanBatch / ms) * 1_000).toLocaleString('en-US')
  return [
    `\n${connections} connections: ${Math.round(budget.answersPerSecond).toLocaleString('en-US')} answers/s, ${budget.rateShare.toFixed(2)} of the floor's; ${meanBatch.toFixed(0)} commands a call`,
    '',
    ...textTable(['CPU us an answer', 'must', 'costs', 'times'], [...rows, row('all', { must, costs })], { left: [0] }),
    '',
    `what must be is ${times(must)}, what is ${times(costs)}`,
    `Redis alone, in calls as large: the function takes ${inUs(budget.functionUs)} us a command`,
    `from a call to its answer: ${callMs.function.toFixed(2)} ms, a log entry alone ${callMs.log.toFixed(2)}, of it without the disk ${callMs.unsynced.toFixed(2)}`,
    `one call after the other is ${perSecond(callMs.function)} answers/s at most; if Redis only logged, ${perSecond(callMs.log)}`,
    `the rows were copied by ${result.copier}; the audit ${result.auditPassed ? 'passed' : 'FAILED'}`,
    '',
  ].join('\n')
}

function inUs(value: number): string {
  return value.toFixed(1)
}

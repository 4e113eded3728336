// How much of a bare uWebSockets.js handler's throughput hotcakes reaches while every answer is durable: the floor and
// a whole hotcakes (embedded Redis with appendfsync always, persister running) are loaded in turn from one generator.

import { fork } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { type Command, type Options, runCommand, wholeNumber } from '../../core/command-line.mjs'
import { textTable } from '../../core/text-table.mjs'
import { firstMessage } from '../harness/first-message.ts'
import { cpuDifference, cpuSecondsBelow, roleOf } from '../harness/process-cpu.ts'
import { compiled, type RunningHotcakes, runProgram, startHotcakes, startServer } from '../harness/server-under-test.ts'
import type { LoadOrder, LoadResult } from './load-process.ts'

const positive = wholeNumber({ min: 1 })

const floorCommand = {
  name: 'npm run bench:floor',
  purpose: `Loads a bare uWebSockets.js handler and a whole hotcakes in turn, from one generator on the same machine, and says
    how much of the handler's throughput hotcakes reaches.`,
  options: {
    rounds: { value: 'N', read: positive, default: 5, doc: 'times that each is loaded, in turn' },
    seconds: { value: 'N', read: positive, default: 8, doc: 'length of one load' },
    connections: { value: 'N', read: positive, default: 128, doc: 'of the generator' },
    workers: {
      value: 'N',
      read: positive,
      default: 1,
      doc: 'HTTP workers of hotcakes: the floor is one process as well',
    },
    smoke: { doc: 'one short round, to see that it works' },
    json: { doc: 'the numbers as JSON' },
  },
  exits: { 0: 'every round sold, and the audit passed', 1: 'one did not: the numbers are no result' },
} satisfies Command<Options>

const items = 1_000_000
const users = 200_000
const drainMsMax = 120_000

interface Plan {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  readonly workers: number
  readonly json: boolean
}

interface Round {
  readonly floor: LoadResult
  readonly hotcakes: LoadResult
  readonly cpu: [string, number][]
}

/** Enough for 150 requests/s a connection, but no more than that every round finds fresh items. */
function preparedPerConnection({ rounds, connections, seconds }: Plan): number {
  return Math.min(150 * seconds, Math.floor(items / rounds / connections))
}

async function load(order: LoadOrder): Promise<LoadResult> {
  const child = fork(compiled('../floor/load-process.js'))
  child.send(order)
  return await firstMessage<LoadResult>(child)
}

/** A real checkout, so that the floor's body has the size of a real one. */
async function firstCheckout(url: string): Promise<{ sale: number; bodyBytes: number }> {
  const { id, last_item_id: item } = (await (await fetch(`${url}/sale`)).json()) as { id: number; last_item_id: string }
  const response = await fetch(`${url}/checkout?user_id=user-0&id=${item}`, { method: 'POST' })
  if (response.status !== 200)
    throw new Error(`the first checkout was answered ${response.status}: ${await response.text()}`)
  return { sale: id, bodyBytes: (await response.arrayBuffer()).byteLength }
}

async function drained(hotcakes: RunningHotcakes): Promise<number> {
  const startedMs = performance.now()
  while (performance.now() - startedMs < drainMsMax) {
    const health = (await (await fetch(`${hotcakes.url}/readyz`)).json()) as {
      checks: { log: { backlog_entries: number } }
    }
    if (health.checks.log.backlog_entries === 0) return (performance.now() - startedMs) / 1_000
    await delay(200)
  }
  throw new Error(`the log did not drain within ${drainMsMax} ms`)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

async function measure(options: Plan): Promise<{ rounds: Round[]; drainSeconds: number; auditPassed: boolean }> {
  const hotcakes = await startHotcakes({
    APP_WORKERS: String(options.workers),
    APP_ITEM_NUMBER: String(items),
    APP_USER_LIMIT: '1000',
    APP_SALE_INTERVAL_SECONDS: '86400',
  })
  try {
    const { sale, bodyBytes } = await firstCheckout(hotcakes.url)
    const floor = await startServer('../floor/floor-server.js', [String(bodyBytes)])
    try {
      const rounds: Round[] = []
      const order = {
        connections: options.connections,
        seconds: options.seconds,
        sale,
        items,
        users,
        requestsPerConnection: preparedPerConnection(options),
      }
      let firstItem = 0
      for (let round = 1; round <= options.rounds; round++) {
        const ofFloor = await load({ ...order, url: floor.url, firstItem: 0 })
        const before = cpuSecondsBelow(hotcakes.pid, roleOf)
        const ofHotcakes = await load({ ...order, url: hotcakes.url, firstItem })
        const cpu = cpuDifference(before, cpuSecondsBelow(hotcakes.pid, roleOf))
        firstItem += ofHotcakes.itemsOffered
        rounds.push({ floor: ofFloor, hotcakes: ofHotcakes, cpu })
        process.stderr.write(`round ${round}/${options.rounds}: ${line(ofFloor)} | ${line(ofHotcakes)}\n`)
      }
      const drainSeconds = await drained(hotcakes)
      const audit = await runProgram('../../ops/tools/audit/main.js', ['--json'], hotcakes)
      return { rounds, drainSeconds, auditPassed: audit.exitCode === 0 }
    } finally {
      await floor.stop()
    }
  } finally {
    await hotcakes.stop()
  }
}

function line(result: LoadResult): string {
  return `${Math.round(result.requestsPerSecond)}/s p99 ${result.p99Ms} ms`
}

function report({ rounds, drainSeconds, auditPassed }: Awaited<ReturnType<typeof measure>>, options: Plan): void {
  const ratios = rounds.map(({ floor, hotcakes }) => hotcakes.requestsPerSecond / floor.requestsPerSecond)
  const summary = (pick: (round: Round) => LoadResult): Record<string, number> => {
    const results = rounds.map(pick)
    const sum = (key: keyof LoadResult): number => results.reduce((total, result) => total + result[key], 0)
    return {
      'requests/s (median)': Math.round(median(results.map((result) => result.requestsPerSecond))),
      'p50 ms': median(results.map((result) => result.p50Ms)),
      'p99 ms': median(results.map((result) => result.p99Ms)),
      '2xx %': Number(((100 * sum('ok')) / Math.max(1, sum('ok') + sum('notOk'))).toFixed(2)),
      errors: sum('errors'),
      'generator CPU s': Number(sum('cpuSeconds').toFixed(2)),
    }
  }
  const cpu = new Map<string, number>()
  for (const [label, seconds] of rounds.flatMap((round) => round.cpu)) cpu.set(label, (cpu.get(label) ?? 0) + seconds)
  const seconds = options.rounds * options.seconds
  const result = {
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      node: process.version,
      generator: 'same machine',
    },
    options,
    floor: summary((round) => round.floor),
    hotcakes: summary((round) => round.hotcakes),
    ratio: { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
    cpuCores: Object.fromEntries([...cpu].map(([label, used]) => [label, Number((used / seconds).toFixed(3))])),
    drainSeconds,
    auditPassed,
  }
  if (options.json) {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
    return
  }
  const { machine, ratio } = result
  process.stdout.write(
    `\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, generator on the same machine\n`,
  )
  const servers = Object.entries({ floor: result.floor, hotcakes: result.hotcakes })
  const rows = servers.map(([name, numbers]) => [name, ...Object.values(numbers).map(String)])
  process.stdout.write(`${textTable(['', ...Object.keys(result.floor)], rows).join('\n')}\n`)
  process.stdout.write(
    `ratio ${ratio.median.toFixed(3)} (median of ${options.rounds}; ${ratio.min.toFixed(3)} to ${ratio.max.toFixed(3)})\n`,
  )
  process.stdout.write(
    `CPU of hotcakes while loaded, in cores: ${Object.entries(result.cpuCores)
      .map(([label, cores]) => `${label} ${cores}`)
      .join(', ')}\n`,
  )
  process.stdout.write(
    `log drained ${drainSeconds.toFixed(1)} s after the load; audit ${auditPassed ? 'passed' : 'FAILED'}\n`,
  )
}

/** A number from a run that sold nothing, or whose record is wrong, is not a result. */
function isValid({ rounds, auditPassed }: Awaited<ReturnType<typeof measure>>): boolean {
  return auditPassed && rounds.every(({ floor, hotcakes }) => floor.ok > 0 && hotcakes.ok > hotcakes.notOk)
}

process.exitCode = await runCommand(floorCommand, process.argv.slice(2), async ({ smoke, ...asked }) => {
  const plan: Plan = smoke ? { ...asked, rounds: 1, seconds: 1 } : asked
  const measured = await measure(plan)
  report(measured, plan)
  if (isValid(measured)) return 0
  process.stderr.write('not a valid run: see the audit and the answers above\n')
  return 1
})

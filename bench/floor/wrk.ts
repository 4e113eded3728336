import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { childrenCpuSeconds } from '../harness/process-cpu.ts'

/** Which items are asked for: each of the stock once, or some again and again; or each is taken and given back, in turn. */
export type Requests = 'fresh' | 'sold' | 'returned'

export interface WrkOrder {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly requests: Requests
  readonly sale: number
  /** So many, the first of the sale. */
  readonly items: number
  /** Or those that come after so many. */
  readonly skipped?: number
  /** Where in the walk through the stock this load begins. */
  readonly first: number
  readonly users: number
  readonly seed: number
  /** For an answer; later ones count as broken. */
  readonly patienceSeconds?: number
  /** Ends it early: then its result is none. */
  readonly signal?: AbortSignal
}

export interface WrkResult {
  readonly answersPerSecond: number
  readonly answers: number
  /** Answers with a status from 400 on. */
  readonly refused: number
  /** Connections that were refused or cut, and requests without an answer in time. */
  readonly broken: number
  /** Requests that were made, with those in the end whose answer nobody waited for. */
  readonly asked: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the generator itself. */
  readonly cpuSeconds: number
}

const script = fileURLToPath(new URL('requests.lua', import.meta.url))

/**
 * Runs wrk with one thread, closed loop, without pipelining.
 * @throws when there is no wrk, or it fails
 */
export async function runWrk(order: WrkOrder): Promise<WrkResult> {
  const {
    connections,
    seconds,
    url,
    requests,
    sale,
    items,
    first,
    users,
    seed,
    skipped = 0,
    patienceSeconds = 2,
    signal,
  } = order
  const load = [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    `${patienceSeconds}s`,
    '--latency',
    '-s',
    script,
    url,
  ]
  const args = [...load, '--', requests, ...[sale, items, first, users, seed, skipped].map(String)]
  const before = childrenCpuSeconds()
  const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'], ...(signal && { signal }) })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  const [exitCode] = (await once(child, 'close')) as [number | null]
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  if (exitCode !== 0 || line === undefined) throw new Error(`wrk ended with status ${exitCode}: ${stdout}`)
  const said = JSON.parse(line) as Record<'asked' | 'answers' | 'refused' | 'broken' | TimeKey, number>
  return {
    answersPerSecond: said.answers / (said.durationUs / 1e6),
    answers: said.answers,
    refused: said.refused,
    broken: said.broken,
    asked: said.asked,
    p50Ms: said.p50Us / 1_000,
    p99Ms: said.p99Us / 1_000,
    cpuSeconds: childrenCpuSeconds() - before,
  }
}

type TimeKey = 'durationUs' | 'p50Us' | 'p99Us'

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { childrenCpuSeconds } from '../harness/process-cpu.ts'

export interface WrkOrder {
  readonly url: string
  readonly clients: number
  readonly seconds: number
  readonly sale: number
  /** The items from the next one on are the flood's, so many. */
  readonly after: number
  readonly items: number
  /** The core that it may use; `undefined`: all. */
  readonly core: string | undefined
}

export interface WrkResult {
  readonly seconds: number
  readonly answers: number
  /** Of them those with a status from 400 on. */
  readonly refused: number
  /** Connections that were closed. wrk isn't told that one ends with its answer, so those are among them. */
  readonly cut: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuSeconds: number
}

const script = fileURLToPath(new URL('flood.lua', import.meta.url))
const users = 200_000
/** The good buyers' process shares the core with it and comes first, or they would lose by the flood's own hunger. */
const niceness = 10

/** Clients that connect for each request and come again at once, with one thread. It begins when it is made. */
export class Wrk {
  readonly #child: ChildProcess
  readonly #result: Promise<WrkResult>

  constructor({ url, clients, seconds, sale, after, items, core }: WrkOrder) {
    const wrk = ['wrk', '-t1', `-c${clients}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, url, '--']
    const place = core === undefined ? [] : ['taskset', '-c', core]
    const line = [...place, ...wrk, ...[sale, after, items, users].map(String)]
    this.#child = spawn('nice', ['-n', String(niceness), ...line], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#result = resultOf(this.#child)
    this.#result.catch(() => undefined) // whoever asks for it hears of it
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** @throws when there is no wrk, or it was stopped */
  result(): Promise<WrkResult> {
    return this.#result
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

type Said = Record<'answers' | 'refused' | 'cut' | 'durationUs' | 'p50Us' | 'p99Us', number>

async function resultOf(child: ChildProcess): Promise<WrkResult> {
  const cpuBefore = childrenCpuSeconds()
  let stdout = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  const [exitCode] = (await once(child, 'close')) as [number | null]
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  if (exitCode !== 0 || line === undefined) throw new Error(`wrk ended with status ${exitCode}: ${stdout}`)
  const { durationUs, p50Us, p99Us, answers, refused, cut } = JSON.parse(line) as Said
  return {
    seconds: durationUs / 1e6,
    answers,
    refused,
    cut,
    p50Ms: p50Us / 1_000,
    p99Ms: p99Us / 1_000,
    cpuSeconds: childrenCpuSeconds() - cpuBefore,
  }
}

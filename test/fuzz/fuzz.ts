import type { Scope } from '../helpers/scope.ts'
import { FuzzRun } from './fuzz-run.ts'
import { HonestClient } from './honest-client.ts'
import { Target } from './target.ts'

export interface FuzzOptions {
  readonly seed: number
  readonly from: number
  readonly requests: number
  /** Of the sale. */
  readonly shards: number
  readonly signal?: AbortSignal
  /** Every second. */
  readonly onProgress?: (done: number) => void
}

export interface FuzzReport {
  readonly run: FuzzRun
  readonly honestRequests: number
  readonly seconds: number
  /** Whatever is not as it must be, in sentences. None: the server has passed. */
  readonly findings: readonly string[]
}

const connections = 48
/** Of the attempts: by then the workers have grown to what they need. */
const warmShare = 0.3

/** Sends the requests to a server of its own, beside an honest client, and looks at what they have left behind. */
export async function fuzz(scope: Scope, options: FuzzOptions): Promise<FuzzReport> {
  const target = await Target.start(scope, options.shards)
  const { port, sale } = target
  const run = new FuzzRun({ ...options, port, sale, connections })
  const honest = new HonestClient(target.http, { sale, firstItem: target.honestItemFirst })
  honest.start()
  const startedMs = performance.now()
  const progress = setInterval(() => options.onProgress?.(run.done), 1_000)
  const warming = Math.ceil(options.requests * warmShare)
  try {
    await run.make(warming)
    await target.warm()
    await run.make(options.requests - warming)
    await run.finish()
  } finally {
    clearInterval(progress)
    await honest.stop()
  }
  const seconds = (performance.now() - startedMs) / 1_000
  const failures = run.failures.map(({ attempt: { number, kind, text }, what }) => {
    return `${kind}: ${what}; sent ${JSON.stringify(text.slice(0, 1_000))}; repeat it with --seed ${options.seed} --from ${number} --requests 1`
  })
  const refusedHonest = honest.failures.map((failure) => `the honest client: ${failure}`)
  const findings = [...failures, ...refusedHonest, ...(await target.findings())]
  return { run, honestRequests: honest.requests, seconds, findings }
}

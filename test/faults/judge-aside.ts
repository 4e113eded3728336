import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import type { Judgement } from './checker.ts'
import type { Evidence } from './evidence.ts'

/**
 * What `judge` says, in a thread of its own: what the nodes of a cluster say to each other goes through the arena's process, and
 * a judgement that blocks it for some seconds would have masters replaced.
 */
export async function judgeAside(evidence: Evidence, intervalMs: number): Promise<Judgement> {
  const worker = new Worker(new URL('judge-thread.js', import.meta.url), { workerData: { evidence, intervalMs } })
  const [judgement] = (await once(worker, 'message')) as [Judgement]
  await worker.terminate()
  return judgement
}

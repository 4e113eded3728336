import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Tally } from './rights-run.ts'
import type { Breach, Expectation, Series } from './rights-series.ts'
import type { ScenarioTerms } from './rights-steps.ts'

/** Of the model alone. */
type Alone<Options extends Series> = Omit<Options, 'real'> & { readonly scenario: ScenarioTerms }

export type AsideTask =
  | { readonly kind: 'holds'; readonly expectation: Alone<Expectation> }
  | { readonly kind: 'breach'; readonly series: Alone<Series> }

/** See assertHolds. */
export async function assertHoldsAside(expectation: Alone<Expectation>): Promise<Tally['all']> {
  return (await answerTo({ kind: 'holds', expectation })) as Tally['all']
}

/** See findBreach. */
export async function findBreachAside(series: Alone<Series>): Promise<Breach> {
  return (await answerTo({ kind: 'breach', series })) as Breach
}

/** In a thread of its own: node:test follows every promise of a test, which costs more than what a model does between two. */
async function answerTo(task: AsideTask): Promise<unknown> {
  const worker = new Worker(new URL('rights-thread.js', import.meta.url), { workerData: task })
  const [answer] = await once(worker, 'message')
  await worker.terminate()
  return answer
}

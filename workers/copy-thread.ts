import { workerData } from 'node:worker_threads'
import { Copier } from './copier.ts'
import { type CopyReply, type CopyTask, type CopyThreadData, runCopyTask } from './copy-tasks.ts'
import { unwatched } from './drain-steps.ts'

/**
 * The assembly point of the one thread in this process that loads libpq (see core/postgres/connection.ts). Piscina
 * freezes it between tasks, so everything in it is synchronous.
 */
const { settings } = workerData as CopyThreadData
const copier = new Copier(settings, unwatched)

/** Called by Piscina, by this name. */
export function runTask(task: CopyTask): CopyReply {
  return runCopyTask(copier, task)
}

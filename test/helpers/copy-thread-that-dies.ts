// The persister's copy thread, except that it takes its process along at a step of the drain: see die-at.ts.
import { workerData } from 'node:worker_threads'

import { Copier } from '../../workers/copier.ts'
import { type CopyReply, type CopyTask, type CopyThreadData, runCopyTask } from '../../workers/copy-tasks.ts'
import { dieAtStep } from './die-at.ts'

const { settings } = workerData as CopyThreadData
const copier = new Copier(settings, dieAtStep())

/** Called by Piscina, by this name. */
export function runTask(task: CopyTask): CopyReply {
  return runCopyTask(copier, task)
}

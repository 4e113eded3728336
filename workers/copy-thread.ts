import { workerData } from 'node:worker_threads'
import { Fault } from '../core/faults.ts'
import { PostgresFault } from '../core/postgres/postgres-fault.ts'
import { Copier } from './copier.ts'
import type { CopyReply, CopyTask, CopyThreadData } from './copy-pool.ts'
import { dieAt } from './drain-steps.ts'

/**
 * The assembly point of the one thread in this process that loads libpq (see core/postgres/connection.ts). Piscina
 * freezes it between tasks, so everything in it is synchronous.
 */
const { settings, dieAtStep } = workerData as CopyThreadData
const copier = new Copier(settings, dieAt(dieAtStep))

/** Called by Piscina, by this name. A Fault is answered, because an error that is thrown loses its code on the way. */
export function runTask(task: CopyTask): CopyReply {
  try {
    switch (task.kind) {
      case 'offset':
        return { kind: 'offset', position: copier.offset(task.shard) }
      case 'copy':
        return { kind: 'copied', ...copier.copy(task.chunk) }
      case 'close':
        copier.close()
        return { kind: 'closed' }
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    if (error instanceof PostgresFault) {
      return { kind: 'refusal', message: error.message, sqlState: error.sqlState, publicReason: error.publicReason }
    }
    return { kind: 'fault', code: error.code, message: error.message }
  }
}

import { Fault, type FaultCode } from '../core/faults.ts'
import type { PostgresSettings } from '../core/postgres/conninfo.ts'
import type { LogHead } from '../core/postgres/log-epochs.ts'
import { PostgresFault } from '../core/postgres/postgres-fault.ts'
import type { CopiedChunk } from './copied-chunk.ts'
import type { Copier } from './copier.ts'
import type { LogChunk } from './log-chunk.ts'

/** What the copy thread is started with. */
export interface CopyThreadData {
  readonly settings: PostgresSettings
}

export type CopyTask =
  | { readonly kind: 'head'; readonly shard: number }
  | { readonly kind: 'copy'; readonly chunk: LogChunk }
  | { readonly kind: 'close' }

export type CopyReply =
  | ({ readonly kind: 'head' } & LogHead)
  | ({ readonly kind: 'copied' } & CopiedChunk)
  | { readonly kind: 'closed' }
  | { readonly kind: 'fault'; readonly code: FaultCode; readonly message: string }
  | {
      readonly kind: 'refusal'
      readonly message: string
      readonly sqlState: string | undefined
      readonly publicReason: string
    }

/** A Fault is answered, because an error that is thrown loses its code on the way to the main thread. */
export function runCopyTask(copier: Copier, task: CopyTask): CopyReply {
  try {
    switch (task.kind) {
      case 'head':
        return { kind: 'head', ...copier.head(task.shard) }
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

import { Fault } from '../core/faults.ts'
import { formatLogPosition, type LogPosition } from '../core/log-position.ts'
import type { Postgres } from '../core/postgres/connection.ts'
import type { LogChunk } from './log-chunk.ts'

/**
 * First in the transaction: whoever has locked the row is alone, and a second persister waits before it did any work.
 * @throws Fault HC_OFFSET_MOVED | HC_RUN_REPLACED | HC_LOG_GAP, see Copier
 */
export function moveOffset(postgres: Postgres, chunk: LogChunk, through: LogPosition): void {
  const { shard, run, after } = chunk
  // Where no run is named, the servers so far were of a version that doesn't name any.
  const moved = postgres.query(
    `update log_offsets set epoch = $1, seq = $2
     where shard = $3 and epoch = $4 and seq = $5 and (run = $6 or run is null) returning shard`,
    [through.epoch, through.seq, shard, after.epoch, after.seq, run],
  )
  if (moved.length !== 1) throw notMoved(postgres, chunk)
  if (through.epoch !== after.epoch) assertFollows(postgres, chunk, through.epoch)
}

function notMoved(postgres: Postgres, { shard, run, after }: LogChunk): Fault {
  const [row] = postgres.query<{ run: string | null }>('select run from log_offsets where shard = $1', [shard])
  const admitted = row?.run ?? run
  return admitted === run
    ? new Fault('HC_OFFSET_MOVED', `the log offset is not ${formatLogPosition(after)}`)
    : runReplaced(run, admitted)
}

export function runReplaced(run: string, admitted: string): Fault {
  return new Fault('HC_RUN_REPLACED', `the log comes from the run ${run} of Redis, but ${admitted} is admitted`)
}

/** Between two epochs nothing is missing where the later one began after what Postgres has. */
function assertFollows(postgres: Postgres, { shard, after }: LogChunk, epoch: number): void {
  const [begun] = postgres.query<{ end: string | null }>(
    `select after_epoch || '-' || after_seq as "end" from log_epochs where shard = $1 and epoch = $2`,
    [shard, epoch],
  )
  // Without a row a server of a version before began it, which says nothing of that: then it is taken as it comes.
  if (begun === undefined || begun.end === formatLogPosition(after)) return
  throw new Fault(
    'HC_LOG_GAP',
    `the epoch ${epoch} follows ${begun.end ?? 'nothing'}, and Postgres has the log up to ${formatLogPosition(after)}`,
  )
}

import { Fault } from '../../core/faults.ts'
import type { AsyncConnection } from '../../core/postgres/async-connection.ts'
import { shardCountOf, shardsText } from '../../core/postgres/log-offset.ts'
import { firstShard } from '../../core/shards.ts'

export interface ShardRows {
  /** How many shards there must be at least. There may be more: nothing shrinks. */
  readonly shards: number
  readonly user: string
  /** Whether the user may change the tables. */
  readonly isOwner: boolean
}

/**
 * Adds the shards that are missing to the installation: from then on every server opens, guards and drains them too. In the
 * transaction of the caller, alone. Returns their numbers.
 * @throws Fault HC_SCHEMA when the user may not, or a row was deleted; PostgresFault
 */
export async function addShards(
  connection: AsyncConnection,
  { shards, user, isOwner }: ShardRows,
): Promise<readonly number[]> {
  // It always has its row: a start that asks for no other needs no look, nor a right to one.
  if (shards === 1) return []
  const count = shardCountOf(await connection.query<{ shard: number }>({ text: shardsText }))
  if (count >= shards) return []
  if (!isOwner) {
    throw new Fault(
      'HC_SCHEMA',
      `the record is of ${count} ${count === 1 ? 'shard' : 'shards'}, APP_SHARDS is ${shards}, and user ${user} may add ` +
        'none: give the server the owner of the tables as DB_OWNER_USER and DB_OWNER_PASSWORD for one start',
    )
  }
  // One that had epochs had a row, which somebody has deleted: a new one would have its log copied from the beginning.
  const added = await connection.query<{ shard: number }>(
    {
      text: `
      insert into log_offsets (shard, epoch, seq, record)
      select number, 0, 0, (select record from log_offsets where shard = ${firstShard})
      from generate_series($1::int, $2::int) number
      where not exists (select from log_epochs e where e.shard >= $1::int)
      returning shard`,
    },
    [count, shards - 1],
  )
  if (added.length === 0) throw new Fault('HC_SCHEMA', `log_offsets has lost the row of the shard ${count}`)
  return added.map(({ shard }) => shard)
}

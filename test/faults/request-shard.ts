import { shardOf } from '../../core/shards.ts'
import { type Evidence, isAnswered, type SentRequest } from './evidence.ts'

/** In whose log a request is decided: as its answer says, or as its item is placed. */
export function shardsOfRequests({ sales }: Pick<Evidence, 'sales'>): (request: SentRequest) => number {
  const shardsOf = new Map(sales.map(({ sale, shards }) => [sale, shards]))
  return (request) =>
    isAnswered(request) ? request.answer.place.shard : shardOf(request.index, shardsOf.get(request.sale) ?? 1)
}

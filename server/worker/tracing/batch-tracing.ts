// Its API alone, which prom-client loads as well.
import { SpanStatusCode } from '@opentelemetry/api'

import { DecisionReader } from '../../../core/decisions.ts'
import { Fault } from '../../../core/faults.ts'
import { placePrefix } from '../../../core/shards.ts'
import type { Tracing } from '../../../core/tracing/tracing.ts'
import type { AnsweredBatch } from '../selling/batcher.ts'

/** The span of a call that had sampled commands in it, linked with their requests, each way. Others have none. */
export class BatchTracing {
  readonly #tracing: Tracing
  readonly #shard: number

  constructor(tracing: Tracing, shard: number) {
    this.#tracing = tracing
    this.#shard = shard
  }

  /** Before the commands are told, who end their requests' spans. */
  readonly answered = ({ commands, reply, sentMs, answeredMs }: AnsweredBatch): void => {
    const sampled = commands.flatMap(({ trace }) => trace ?? [])
    if (sampled.length === 0) return
    const span = this.#tracing.spans.own('decide', {
      kind: 'client',
      startedMs: sentMs,
      links: sampled.map(({ context }) => ({ context })),
      attributes: {
        'db.system.name': 'redis',
        'db.operation.name': 'FCALL',
        'hotcakes.shard': this.#shard,
        'hotcakes.batch.commands': commands.length,
        'hotcakes.batch.sampled': sampled.length,
      },
    })
    const context = span.spanContext()
    for (const trace of sampled) trace.sentIn(context)
    if (reply instanceof Fault) span.setAttribute('error.type', reply.code).setStatus({ code: SpanStatusCode.ERROR })
    else {
      // A batch that has decided nothing has no entry.
      if (reply.id !== '') span.setAttribute('hotcakes.log.position', `${placePrefix(this.#shard)}${reply.id}`)
      this.#tellOutcomes(commands, reply)
    }
    span.end(answeredMs)
  }

  /** Reads the results once more: the one who tells the commands has no time for this. */
  #tellOutcomes(commands: AnsweredBatch['commands'], reply: { readonly results: Buffer; readonly id: string }): void {
    const decision = new DecisionReader(reply.results)
    let n = 0
    for (const { trace } of commands) {
      if (!decision.next()) return // said where the commands are told
      const place = n
      if (decision.isPlaced) n += 1
      if (decision.isDecided) trace?.decided(decision.outcome, `${placePrefix(this.#shard)}${reply.id}-${place}`)
    }
  }
}

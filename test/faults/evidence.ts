import type { SaleTerms } from '../../core/decisions.ts'
import { compareLogPositions, formatLogPosition, type LogPosition } from '../../core/log-position.ts'
import type { Operation, Outcome } from '../../core/outcomes.ts'
import { firstShard } from '../../core/shards.ts'
import type { RedisSale } from '../../ops/tools/audit/redis-side.ts'
import type { ProblemCode } from '../../server/worker/http/problems.ts'

/** What a decision is called from outside: the shard in whose log its entry is, the entry, and its place in that, from 0. */
export interface Place extends LogPosition {
  readonly shard: number
  readonly n: number
}

export interface Answer {
  readonly place: Place
  /** On the clock of `SentRequest.sentMs`. */
  readonly receivedMs: number
  readonly verdict: 'accepted' | ProblemCode
  /** What an accepted request is told besides: the code's nonce, whose it is, and when the hold ends or was redeemed. */
  readonly nonce?: string
  readonly user?: string
  readonly atMs?: number
}

/**
 * A request as its client knows it. `unknown`: no answer came, or one that leaves open whether there was a decision;
 * `refused`: the answer says that there was none.
 */
export interface SentRequest {
  readonly operation: Operation
  readonly sale: number
  readonly index: string
  /** '' in a purchase or a release. */
  readonly user: string
  /** The code's; '' in a checkout. */
  readonly nonce: string
  /** By the one monotonic clock of all clients. */
  readonly sentMs: number
  /** The same moment in ms since the epoch: by the clock that Redis and Postgres of the same machine have. */
  readonly sentAtMs: number
  answer: Answer | 'unknown' | 'refused'
}

/** An item as somebody saw it. */
export interface Look {
  readonly sale: number
  readonly index: string
  readonly sentMs: number
  readonly receivedMs: number
  readonly state: 'available' | 'held' | 'sold'
}

/** A row of one of the tables of attempts. */
export interface AttemptRow extends Place {
  readonly outcome: Outcome
  readonly operation: Operation
  readonly decidedAtMs: number
  readonly sale: number
  readonly index: string
  readonly user: string | null
  readonly nonce: string | null
  readonly expiresAtMs: number | null
}

export interface PurchaseRow extends Place {
  readonly sale: number
  readonly index: string
  readonly user: string
  readonly nonce: string
  readonly purchasedAtMs: number
}

/** A right of a user that a shard has lent to its peer, or got from it: `total` so many until then. */
export interface TransferRow extends Place {
  readonly decidedAtMs: number
  readonly sale: number
  readonly user: string
  readonly peer: number
  readonly kind: 'lent' | 'got'
  readonly total: number
}

/** An epoch of a shard's log. */
export interface EpochRow {
  readonly shard: number
  readonly epoch: number
  /** The last entry before it; undefined: Redis was rebuilt, or new. */
  readonly after: LogPosition | undefined
  readonly begunAtMs: number
}

/**
 * A shard's Redis lost data, when Postgres had its log at least up to `committed`. What was asked before `doneMs` may be gone,
 * all of it from some entry on: see `mayBeLost`. What is seen of items may be wrong until `recoveredMs`.
 */
export interface Loss {
  readonly shard: number
  readonly committed: LogPosition
  readonly begunMs: number
  readonly doneMs: number
  /** What replicas had is gone too. */
  readonly withReplicas: boolean
  recoveredMs: number
}

/** Everything that is known after a run: what clients saw, and what the two stores hold once the log is drained. */
export interface Evidence {
  readonly history: readonly SentRequest[]
  readonly looks: readonly Look[]
  readonly attempts: readonly AttemptRow[]
  readonly purchases: readonly PurchaseRow[]
  readonly sales: readonly SaleTerms[]
  readonly transfers: readonly TransferRow[]
  readonly epochs: readonly EpochRow[]
  /** By shard: how far Postgres says that it has the log. */
  readonly offsets: readonly LogPosition[]
  readonly redis: readonly RedisPart[]
  readonly losses: readonly Loss[]
  /** What an answer promises: that it is in Redis' log, that all replicas have it, or of a purchase that it is in Postgres. */
  readonly ack: 'redis' | 'replica' | 'postgres'
}

/** What one shard has of a sale. */
export type RedisPart = RedisSale & { readonly shard: number }

/** The order within a shard; between two of them there is none, and they come by their numbers. */
export function comparePlaces(a: Place, b: Place): number {
  return a.shard - b.shard || compareLogPositions(a, b) || a.n - b.n
}

/** As the header Hotcakes-Decision has it. */
export function formatPlace(place: Place): string {
  return `${place.shard === firstShard ? '' : `${place.shard}:`}${formatLogPosition(place)}-${place.n}`
}

export type AnsweredRequest = Omit<SentRequest, 'answer'> & { readonly answer: Answer }

export function isAnswered(request: SentRequest): request is AnsweredRequest {
  return typeof request.answer === 'object'
}

/** What makes two requests the same one to the server. */
export function requestKey(request: Pick<SentRequest, 'operation' | 'sale' | 'index' | 'user' | 'nonce'>): string {
  const { operation, sale, index, user, nonce } = request
  return `${operation} ${sale}-${index} ${operation === 'checkout' ? user : nonce}`
}

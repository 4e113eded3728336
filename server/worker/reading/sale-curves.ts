import type { SaleTerms } from '../../../core/decisions.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Route } from '../http/http-server.ts'
import { problemReplies, problemReply } from '../http/problems.ts'
import { parseInteger } from '../http/query-parameters.ts'
import { okHead } from '../http/replies.ts'
import { LastKept } from '../last-kept.ts'
import { boardCurvePointsMax, saleCountsFreshMs, saleCurvesKeptMax } from '../limits.ts'
import { Freshness } from './freshness.ts'
import type { ReadReply } from './read-gate.ts'
import type { CurvePoint } from './record-reader.ts'
import type { RecordRoutesOptions } from './record-routes.ts'

const saleMalformed = problemReply('invalid_request', { detail: 'The path must name the number of a sale.' })

type SaleCurvesOptions = Pick<RecordRoutesOptions, 'sales' | 'shards' | 'record' | 'gate' | 'clock'>

/**
 * `GET /sales/{id}/curve`: how many items had been purchased when. Postgres reads all purchases of the sale for it, on the
 * connection for what takes long, one sale at a time; once nothing is added to it any more, only once.
 */
export class SaleCurves {
  readonly routes: readonly Route[]
  readonly #options: SaleCurvesOptions
  readonly #kept = new LastKept<number, { readonly points: readonly CurvePoint[]; readonly untilMs: number }>(
    saleCurvesKeptMax,
  )

  constructor(options: SaleCurvesOptions) {
    this.#options = options
    const { refusal } = options.gate
    this.routes = [{ path: '/sales/:id/curve', method: 'GET', refusal, handle: (exchange) => this.#curve(exchange) }]
  }

  #curve(exchange: Exchange): void {
    const sale = parseInteger(exchange.parameter)
    if (sale === undefined) exchange.reply(saleMalformed)
    else this.#options.gate.offer(exchange, `curve ${sale}`, () => this.#read(sale))
  }

  async #read(sale: number): Promise<ReadReply> {
    const { sales, record, shards, clock } = this.#options
    // Taken before Postgres is asked: what it knows may then only be too old.
    const freshness = new Freshness(shards)
    const nowMs = clock.now() ?? Date.now()
    const drainedUntilMs = nowMs - (freshness.lagMs ?? Number.POSITIVE_INFINITY)
    const listed = sales.canRead(sale) ? await sales.state(sale) : undefined
    const terms = listed ?? (await record.sale(sale))
    if (terms === undefined) return problemReplies.sale_unknown
    const points = await this.#points(terms, { nowMs, drainedUntilMs })
    return { head: okHead, body: JSON.stringify({ sale_id: sale, points }), headers: freshness.headers }
  }

  async #points(
    { sale, closesAtMs, holdMs }: SaleTerms,
    { nowMs, drainedUntilMs }: { nowMs: number; drainedUntilMs: number },
  ): Promise<readonly CurvePoint[]> {
    const kept = this.#kept.get(sale)
    if (kept !== undefined && nowMs < kept.untilMs) return kept.points
    const points = await this.#options.record.purchaseCurve(sale, boardCurvePointsMax)
    // The last hold of a sale may be taken as it closes, and is purchased before its own end.
    const isFinal = closesAtMs + holdMs < drainedUntilMs
    this.#kept.keep(sale, { points, untilMs: isFinal ? Number.POSITIVE_INFINITY : nowMs + saleCountsFreshMs })
    return points
  }
}

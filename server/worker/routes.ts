import { NonceSource } from '../../core/ids.ts'
import type { Tracing } from '../../core/tracing/tracing.ts'
import { answerLive } from './health.ts'
import type { Route } from './http/http-server.ts'
import type { ShedReason } from './http/request-metrics.ts'
import type { TurnClock } from './http/turn-clock.ts'
import type { Readiness } from './readiness.ts'
import type { SaleView } from './reading/sale-view.ts'
import { CheckoutRoute } from './selling/checkout.ts'
import { PurchaseRoute } from './selling/purchase.ts'
import { ReleaseRoute } from './selling/release.ts'
import type { SellingMetrics } from './selling/selling-metrics.ts'
import type { Shards } from './selling/shards.ts'
import { RouteTracing } from './tracing/route-tracing.ts'

export interface SellingRoutesOptions {
  readonly shards: Shards
  readonly turnClock: TurnClock
  readonly metrics: SellingMetrics
  readonly onUnlisted: (sale: number, shard: number) => void
  readonly tracing: Tracing | undefined
}

/** Checkout, purchase and release, past the shards' admission. */
export function sellingRoutes({ shards, turnClock, metrics, onUnlisted, tracing }: SellingRoutesOptions): Route[] {
  const selling = { shards, nonces: new NonceSource(), metrics, onUnlisted }
  const refusal = () => shards.refusal(turnClock.now())
  const route = (path: string, handle: Route['handle']): Route => {
    const place = { path, method: 'POST' } as const
    return { ...place, handle, refusal, isOfBuyer: true, tracing: tracing && new RouteTracing(tracing, place) }
  }
  return [
    route('/checkout', new CheckoutRoute(selling).handle),
    route('/purchase', new PurchaseRoute(selling).handle),
    route('/release', new ReleaseRoute(selling).handle),
  ]
}

/** `GET /sale`, and what people and load balancers ask about the server. */
export function statusRoutes(options: {
  /** Why nothing that Redis holds is read. */
  readonly refusal: () => ShedReason | undefined
  readonly saleView: SaleView
  readonly readiness: Readiness
}): Route[] {
  const { refusal, saleView, readiness } = options
  return [
    { path: '/sale', method: 'GET', handle: saleView.handle, refusal },
    { path: '/livez', method: 'GET', handle: answerLive, isProbe: true },
    { path: '/readyz', method: 'GET', handle: readiness.handle, isProbe: true },
    { path: '/health', method: 'GET', handle: readiness.handle, isProbe: true },
  ]
}

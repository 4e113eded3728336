import { NonceSource } from '../../core/ids.ts'
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

export interface SellingRoutesOptions {
  readonly shards: Shards
  readonly turnClock: TurnClock
  readonly metrics: SellingMetrics
  readonly onUnlisted: (sale: number, shard: number) => void
}

/** Checkout, purchase and release, past the shards' admission. */
export function sellingRoutes({ shards, turnClock, metrics, onUnlisted }: SellingRoutesOptions): Route[] {
  const selling = { shards, nonces: new NonceSource(), metrics, onUnlisted }
  const refusal = () => shards.refusal(turnClock.now())
  return [
    { path: '/checkout', method: 'POST', handle: new CheckoutRoute(selling).handle, refusal, isOfBuyer: true },
    { path: '/purchase', method: 'POST', handle: new PurchaseRoute(selling).handle, refusal, isOfBuyer: true },
    { path: '/release', method: 'POST', handle: new ReleaseRoute(selling).handle, refusal, isOfBuyer: true },
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

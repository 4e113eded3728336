import { formatCode, formatItemId } from '../../core/ids.ts'
import {
  checkoutBody,
  type HeldItem,
  type PurchasedItem,
  purchaseBody,
  Timestamps,
} from '../../server/worker/http/replies.ts'
import { holdMs, nowMs, sampleCommands } from './sample-sale.ts'
import { type Case, over, type Scale, type Subject } from './subject.ts'

function checkoutObject({ sale, index, nonce, expiresAt }: HeldItem): object {
  const code = formatCode(sale, index, nonce)
  return { code, item_id: formatItemId(sale, index), sale_id: sale, expires_at: expiresAt }
}

function purchaseObject({ sale, index, user, purchasedAt }: PurchasedItem): object {
  const item_id = formatItemId(sale, index)
  return { status: 'purchased', item_id, sale_id: sale, user_id: user, purchased_at: purchasedAt }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const commands = sampleCommands(smoke ? 16 : 1_024)
  const expiresAt = new Date(nowMs + holdMs).toISOString()
  const held: HeldItem[] = commands.map(({ sale, index, nonce }) => ({ sale, index, nonce, expiresAt }))
  yield {
    name: 'checkout',
    operation: 'body',
    candidates: [
      // Concatenation only links the pieces; they are put side by side when the body is written to the socket. So each
      // is made to bytes here.
      { name: 'concatenation', ...over(held, (item) => Buffer.from(checkoutBody(item))) },
      { name: 'JSON.stringify', ...over(held, (item) => Buffer.from(JSON.stringify(checkoutObject(item)))) },
    ],
  }

  const purchased: PurchasedItem[] = commands.map(({ user, sale, index }) => {
    return { sale, index, user, purchasedAt: expiresAt }
  })
  yield {
    name: 'purchase',
    operation: 'body',
    candidates: [
      { name: 'concatenation', ...over(purchased, (item) => Buffer.from(purchaseBody(item))) },
      { name: 'JSON.stringify', ...over(purchased, (item) => Buffer.from(JSON.stringify(purchaseObject(item)))) },
    ],
  }

  // The holds of a batch of 64 expire together.
  const moments = commands.map((_, n) => nowMs + holdMs + Math.floor(n / 64))
  const timestamps = new Timestamps()
  yield {
    name: 'expires_at',
    operation: 'timestamp',
    candidates: [
      { name: 'Timestamps', ...over(moments, (ms) => timestamps.format(ms)) },
      { name: 'toISOString for each', ...over(moments, (ms) => new Date(ms).toISOString()) },
    ],
  }
}

export const replyBuilding: Subject = {
  name: 'reply-building',
  about: 'the body of an answer: concatenation, JSON.stringify; its timestamp remembered or formatted each time',
  cases,
}

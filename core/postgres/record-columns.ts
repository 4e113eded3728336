/** The columns that the persister writes, in the order in which it writes them. The start's proof writes the same. */

export const saleColumns = 'sale_id, opens_at, closes_at, items, user_limit, hold_seconds, shards'
export const checkoutColumns = 'decided_at, epoch, batch, n, sale_id, item_index, user_id, outcome, nonce, expires_at'
/** Of purchase_attempts and release_attempts. */
export const codeAttemptColumns = 'decided_at, epoch, batch, n, sale_id, item_index, nonce, outcome, user_id'
export const purchaseColumns = 'purchased_at, epoch, batch, n, sale_id, item_index, nonce, user_id'
export const transferColumns = 'decided_at, shard, epoch, batch, n, sale_id, user_id, peer, kind, total'

/** right_transfers.kind: what a shard says of a right of its own, and of one that it was told of. */
export const transferKinds = { lent: 1, got: 2 } as const

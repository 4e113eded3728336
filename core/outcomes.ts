/**
 * Every outcome that the Redis function can decide: its code in results and rows (stable: rows keep it for ever),
 * the operation it belongs to, and what follows it in the results (see decisions.ts).
 * core/redis/functions/decide.lua uses the same table; a test compares its header with this one.
 */
export const outcomes = {
  /** A new hold. */
  held: { code: 1, operation: 'checkout', details: ['hold_ms'] },
  /** The same user's hold is alive: the same code again. */
  held_again: { code: 2, operation: 'checkout', details: ['nonce', 'expires_in_ms'] },
  item_unknown: { code: 3, operation: 'checkout', details: [] },
  sale_closed: { code: 4, operation: 'checkout', details: [] },
  sale_not_open: { code: 5, operation: 'checkout', details: [] },
  item_sold: { code: 6, operation: 'checkout', details: [] },
  item_held: { code: 7, operation: 'checkout', details: ['expires_in_ms'] },
  user_limit_reached: { code: 8, operation: 'checkout', details: [] },
  /** A past sale that Redis does not list (any more): answered like sale_closed. */
  sale_gone: { code: 9, operation: 'checkout', details: [] },
  /** A sale to come that Redis does not list yet: answered like sale_not_open. */
  sale_unlisted: { code: 10, operation: 'checkout', details: [] },

  /** The hold of the code is given back. */
  released: { code: 11, operation: 'release', details: ['user'] },
  /** The same code again, and nobody has taken the item since. */
  released_again: { code: 12, operation: 'release', details: ['user'] },
  /** The code has bought its item. */
  release_sold: { code: 13, operation: 'release', details: [] },
  /** Answered like code_unknown. So is a code that was released, once its item is taken again. */
  release_unknown: { code: 14, operation: 'release', details: [] },
  /** Answered like code_expired. */
  release_expired: { code: 15, operation: 'release', details: [] },
  /** The code names a sale that Redis does not list: answered like code_unknown. */
  release_unlisted: { code: 16, operation: 'release', details: [] },
  /** Answered like code_of_another. */
  release_of_another: { code: 17, operation: 'release', details: [] },

  purchased: { code: 21, operation: 'purchase', details: ['user'] },
  /** The same code again: the first answer again. */
  purchased_again: { code: 22, operation: 'purchase', details: ['user', 'purchased_ago_ms'] },
  code_unknown: { code: 23, operation: 'purchase', details: [] },
  code_expired: { code: 24, operation: 'purchase', details: [] },
  /** The code names a sale that Redis does not list: answered like code_unknown. */
  code_unlisted: { code: 25, operation: 'purchase', details: [] },
  /** The request came with its buyer, and the code is another one's. */
  code_of_another: { code: 26, operation: 'purchase', details: [] },
} as const satisfies Record<string, { code: number; operation: Operation; details: readonly string[] }>

export type Operation = 'checkout' | 'purchase' | 'release'
export type Outcome = keyof typeof outcomes

/** Outcomes that are counted without a sale, because Redis does not list the sale they name. */
export const unlistedOutcomes: readonly Outcome[] = ['sale_gone', 'sale_unlisted', 'code_unlisted', 'release_unlisted']

export const outcomeNames = Object.keys(outcomes) as Outcome[]

/** Index: code, value: name. Sparse: codes of no outcome are undefined. */
export const outcomeByCode: readonly (Outcome | undefined)[] = outcomeNames.reduce<(Outcome | undefined)[]>(
  (table, name) => {
    table[outcomes[name].code] = name
    return table
  },
  [],
)

/**
 * What the Redis function answers besides, in sales of several shards: no outcomes of an attempt, and in none of its tables.
 * The first two change something, so their command has a place in the log; the others change and decide nothing.
 */
export const replies = {
  /** A right was set aside for the shard that asked. */
  lent: { code: 31, details: ['epoch', 'rows'] },
  /** Goes before the reply to the command whose receipts had news. */
  received: { code: 32, details: ['receipts'] },
  not_lent: { code: 41, details: ['epoch', 'rows'] },
  /** The sale's terms place the item elsewhere. */
  misplaced: { code: 42, details: ['shards'] },
  /** The item is free, and the user has no right to it in this shard. */
  rights_elsewhere: { code: 43, details: [] },
  /** Only another shard may say more of the sale. */
  not_listed: { code: 44, details: [] },
} as const satisfies Record<string, { code: number; details: readonly string[] }>

/** What a command gets. */
export type Reply = Outcome | Exclude<keyof typeof replies, 'received'>

/** Index: code, value: name, as outcomeByCode, and of `replies` too. */
export const replyByCode: readonly (Reply | 'received' | undefined)[] = Object.entries(replies).reduce(
  (table, [name, { code }]) => {
    table[code] = name as keyof typeof replies
    return table
  },
  [...outcomeByCode] as (Reply | 'received' | undefined)[],
)

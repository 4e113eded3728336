import { outcomes, unlistedOutcomes } from '../outcomes.ts'

/** What is selected from `sales` to get rows of SaleTerms. */
export const saleTermsColumns = `
  sale_id::float8 as sale, (extract(epoch from opens_at) * 1000)::float8 as "opensAtMs",
  (extract(epoch from closes_at) * 1000)::float8 as "closesAtMs", items, user_limit as "userLimit",
  (hold_seconds * 1000)::float8 as "holdMs", shards`

export interface OutcomeCount {
  /** Its code. */
  readonly outcome: number
  readonly count: number
}

const unlistedCodes = unlistedOutcomes.map((name) => outcomes[name].code).join(', ')

/** Rows of OutcomeCount for the sale $1, as Redis counts them: without those that it did not list. Reads all its attempts. */
export const outcomeCountsText = `
  select outcome, count(*)::float8 as count
  from (select outcome from checkout_attempts where sale_id = $1
        union all select outcome from purchase_attempts where sale_id = $1) attempts
  where outcome not in (${unlistedCodes})
  group by outcome`

import { outcomes, unlistedOutcomes } from '../outcomes.ts'
import { attemptTables } from './daily-tables.ts'

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
const attemptTableNames = attemptTables.map((table) => `'${table}'`).join(', ')

/**
 * Rows of OutcomeCount for the sale $1, as Redis counts them: without those that it did not list. Reads all its attempts; of
 * retired days there are the counts alone.
 */
export const outcomeCountsText = `
  select outcome, sum(count)::float8 as count
  from (${attemptTables.map((table) => `select outcome, 1 as count from ${table} where sale_id = $1`).join(' union all ')}
        union all select outcome, rows from retired_counts
        where sale_id = $1 and table_name in (${attemptTableNames})) attempts
  where outcome not in (${unlistedCodes})
  group by outcome`

/** Folders below bench/ whose programs load with wrk: it is fetched for them, and for their tests (test/bench-<folder>). */
export const wrkBenchmarks = ['budget', 'connections', 'floor', 'growth']

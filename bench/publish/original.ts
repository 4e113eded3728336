/** What the original Go service's README says of its own two load tests. Milliseconds. */
export interface OriginalResult {
  readonly name: string
  readonly seconds: number
  readonly requests: number
  readonly acceptedShare: number
  readonly averageMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** By the scenario of ours that does the same. */
export const originalResults: Readonly<Record<string, OriginalResult>> = {
  'purchase-heavy': {
    name: 'the original, scenario 1',
    seconds: 800,
    requests: 94_492,
    acceptedShare: 0.669,
    averageMs: 33.9,
    p50Ms: 33.9,
    p90Ms: 67.8,
    p99Ms: 101.7,
    maxMs: 417.8,
  },
  balanced: {
    name: 'the original, scenario 2',
    seconds: 557,
    requests: 105_298,
    acceptedShare: 0.439,
    averageMs: 21.2,
    p50Ms: 21.2,
    p90Ms: 42.3,
    p99Ms: 63.5,
    maxMs: 660,
  },
}

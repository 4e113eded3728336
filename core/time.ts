export const msPerSecond = 1_000
export const msPerDay = 86_400_000

/** A moment in ms since the epoch as RFC 3339 in UTC: 2025-01-31T12:00:00.123Z. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** Numbers for people: `12,345`. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** Microseconds as milliseconds, with about three significant digits. */
export function formatMs(us: number): string {
  const ms = us / 1_000
  return ms >= 100 ? formatCount(ms) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)
}

export function formatBytes(bytes: number): string {
  const mebibytes = bytes / 2 ** 20
  return mebibytes >= 10_240 ? `${(mebibytes / 1_024).toFixed(1)} GiB` : `${formatCount(mebibytes)} MiB`
}

export function formatPercent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`
}

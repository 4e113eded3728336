/** APP_ALLOWED_ORIGINS as a list; `*` alone stands for every origin. */
export function listedOrigins(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

/**
 * Why an entry never matches: browsers send an origin in one spelling, and it is compared as it stands. The entry itself
 * isn't repeated, because a URL may hold a password.
 */
export function problemsOfOrigins(text: string): string[] {
  const entries = listedOrigins(text)
  return entries.flatMap((entry, at) => {
    const where = `APP_ALLOWED_ORIGINS: entry ${at + 1}`
    if (entry === '*') return entries.length === 1 ? [] : [`${where} is *, which must stand alone`]
    const origin = originOf(entry)
    if (origin === entry) return []
    return origin === undefined
      ? [`${where} is no origin: write it like https://shop.example.com, with a port if it has one`]
      : [`${where} is not what browsers send as the origin: write ${origin}`]
  })
}

/** What a browser sends as the Origin of a page with this address; `undefined`: there is no such page. */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { protocol, host, origin } = new URL(text)
  if (/[*\s]/.test(host) || host === '') return undefined
  // Apps bring schemes of their own (capacitor://localhost), of which a URL here only says 'null'.
  return origin === 'null' ? `${protocol}//${host}` : origin
}

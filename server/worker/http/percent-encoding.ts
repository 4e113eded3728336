/** A text that is no valid encoding of UTF-8 becomes one that no parameter accepts. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return '\0' // decodeURIComponent's only error is a malformed text; the parameter's own detail then names it
  }
}

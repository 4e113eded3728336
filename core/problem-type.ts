/** `urn:hotcakes:problem:<code>`, the type of a problem (RFC 9457): an identifier to compare, nothing to fetch. */
export function problemUrn(code: string): string {
  return `urn:hotcakes:problem:${code}`
}

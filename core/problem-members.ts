/** `urn:hotcakes:problem:<code>`, the type of a problem (RFC 9457): an identifier to compare, nothing to fetch. */
function problemUrn(code: string): string {
  return `urn:hotcakes:problem:${code}`
}

/** The members that every problem has, in the order in which they are sent. @param detail instead of the catalogue's */
export function problemMembers<Code extends string>(
  code: Code,
  facts: { readonly title: string; readonly status: number; readonly detail: string },
  detail: string = facts.detail,
) {
  return { type: problemUrn(code), title: facts.title, status: facts.status, code, detail }
}

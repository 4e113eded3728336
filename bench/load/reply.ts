const codeStart = '"code":"'

/** The `code` of a JSON body: a hold's, or a problem's. '' when there is none. The search never meets it in a head. */
export function codeIn(reply: Buffer): string {
  const at = reply.indexOf(codeStart, 0, 'latin1')
  if (at < 0) return ''
  const start = at + codeStart.length
  return reply.toString('latin1', start, reply.indexOf(34, start))
}

/** What follows the head. */
export function bodyOf(reply: Buffer): string {
  const at = reply.indexOf('\r\n\r\n', 0, 'latin1')
  return reply.toString('utf8', at < 0 ? 0 : at + 4)
}

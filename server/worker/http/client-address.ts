/**
 * A client's address as a key: what one subscriber can be expected to have. All of an IPv4 address; of an IPv6 address
 * the first 64 bits, because the rest of it is the subscriber's own to choose. An IPv4 address counts as the same however
 * the socket is bound. '' when there is none, as for a socket that is closed.
 *
 * @param bytes 4 or 16 of them, in network order
 */
export function addressKey(bytes: Uint8Array): string {
  if (bytes.length === 16) return isMappedIpv4(bytes) ? textOf(bytes, 12, 16) : textOf(bytes, 0, 8)
  return textOf(bytes, 0, bytes.length)
}

/** ::ffff:a.b.c.d, which a socket bound to :: has for a client that came over IPv4. */
function isMappedIpv4(bytes: Uint8Array): boolean {
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return false
  return bytes[10] === 0xff && bytes[11] === 0xff
}

/** A short string is the quickest key of a Map that bytes can be made into. */
function textOf(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at] as number)
  return text
}

/** A flat list of field and value, as Redis and its functions return a hash. Of a field that comes twice the last one. */
export function pairs(flat: readonly Buffer[]): Map<string, Buffer> {
  const map = new Map<string, Buffer>()
  for (let at = 0; at + 1 < flat.length; at += 2) map.set(String(flat[at]), flat[at + 1] as Buffer)
  return map
}

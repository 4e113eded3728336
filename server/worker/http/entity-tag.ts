import { createHash } from 'node:crypto'

/** A strong entity tag of these bytes. */
export function entityTag(bytes: string | Uint8Array): string {
  return `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
}

/** Whether the header If-None-Match ('' when there is none) names the tag. */
export function namesTag(ifNoneMatch: string, tag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.split(/\s*,\s*/).some((known) => known.trim().replace(/^W\//, '') === tag)
}

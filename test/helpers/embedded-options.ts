import { randomBytes } from 'node:crypto'

/** A start of an embedded service that says nothing, and that nobody ends. */
export const waiting = { say: () => undefined, signal: new AbortController().signal }

export function newPassword(): string {
  return randomBytes(12).toString('base64url')
}

import assert from 'node:assert/strict'

export type Parameter = string | number | null

/** A parameter as libpq takes it. */
export function parameterText(value: Parameter): string | null {
  if (value === null) return null
  const text = String(value)
  // The addon hands parameters on as C strings: the rest behind a NUL would be lost without a word.
  assert.ok(!text.includes('\0'), 'a parameter holds a NUL')
  return text
}

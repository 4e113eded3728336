// Goal: what is told by a colour alone, the dots and their rims, reaches WCAG's 3:1 in both schemes, also between neighbours.
// Method: the colours are read out of the page's own style sheet.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const css = readFileSync(new URL('page/theme.css', import.meta.url), 'utf8')
const [light = '', dark = ''] = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) => block)

function colours(block: string): Record<string, string> {
  return Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, hex]) => [name, hex]))
}

const schemes = { light: colours(light), dark: { ...colours(light), ...colours(dark) } }

function luminance(hex: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(a: string, b: string): number {
  const [lighter = 0, darker = 0] = [luminance(a), luminance(b)].toSorted((one, other) => other - one)
  return (lighter + 0.05) / (darker + 0.05)
}

test('the contrast of black on white is 21, and of a colour on itself 1', () => {
  assert.equal(contrast('#000000', '#ffffff').toFixed(2), '21.00')
  assert.equal(contrast('#cb7a12', '#cb7a12'), 1)
})

for (const [scheme, of] of Object.entries(schemes)) {
  test(`dots and rims have a contrast of 3 against what is behind them and against each other: ${scheme}`, () => {
    const pairs = [
      ...['golden', 'golden-rim', 'toast', 'toast-rim', 'batter-rim', 'missing'].map((name) => [name, 'card']),
      ['golden', 'toast'],
      ['good', 'card'],
    ] as const
    for (const [one = '', other = ''] of pairs) {
      const [a, b] = [of[one], of[other]]
      assert.ok(a !== undefined && b !== undefined, `${one} or ${other} is not in the style sheet`)
      assert.ok(contrast(a, b) >= 3, `${one} on ${other}: ${contrast(a, b).toFixed(2)}`)
    }
  })
}

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { dashboardFile, dashboardText } from './dashboard.ts'

test('the committed dashboard is the one that its rows describe', () => {
  assert.equal(readFileSync(dashboardFile, 'utf8'), dashboardText(), 'write it anew: npm run dashboard')
})

test('panels stand side by side: every line of the grid is full, and nothing lies on anything else', () => {
  const { panels } = JSON.parse(dashboardText()) as {
    panels: { gridPos: { x: number; y: number; w: number; h: number } }[]
  }
  const taken = new Set<string>()
  for (const { x, y, w, h } of panels.map(({ gridPos }) => gridPos)) {
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        assert.ok(column < 24 && !taken.has(`${column} ${line}`), `${column} ${line}`)
        taken.add(`${column} ${line}`)
      }
    }
  }
  const height = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h))
  assert.equal(taken.size, 24 * height)
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { helpText } from '../../core/command-line.mjs'
import { settingPlaces } from '../../core/config/settings.ts'
import { envExample, startCommand } from './describe.ts'

test('.env.example is the generated text', () => {
  // `npm test` and `npm run check` start in the project's root; compiled files stand below it at varying depths.
  const committed = readFileSync(join(process.cwd(), '.env.example'), 'utf8')
  assert.equal(committed, envExample(), 'write it anew: npm start -- --env-example > .env.example')
})

test('the help text and .env.example name every setting once, with its default', () => {
  for (const { setting } of settingPlaces) {
    assert.equal(helpText(startCommand).split(`\n  ${setting.env}\n`).length, 2, setting.env)
    assert.ok(envExample().includes(`\n#${setting.env}=${setting.default}\n`), setting.env)
  }
})

test('no two settings share a variable', () => {
  const names = settingPlaces.map(({ setting }) => setting.env)
  assert.equal(new Set(names).size, names.length)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readArguments } from '../../core/command-line.mjs'
import { loadCommand, requestOf } from './command.ts'
import { findScenario, scenarios } from './scenarios.ts'
import { formatMix, numberSettings, parseMix, problemsOf, settingLimits } from './settings.ts'

const parsed = (...args: string[]) => {
  const { values, operands } = readArguments(loadCommand, args)
  return requestOf(values, operands)
}

test('every scenario is one that could be run', () => {
  assert.equal(new Set(scenarios.map(({ name }) => name)).size, scenarios.length)
  for (const { name, settings } of scenarios) assert.deepEqual(problemsOf(settings), [], name)
})

test('every setting can be overridden by its flag', () => {
  for (const name of numberSettings) {
    const { flag, max } = settingLimits[name]
    // The largest value is at odds with other settings in some cases; what it says then is of these.
    const value = name === 'generators' ? 2 : name === 'fresh' ? 0.25 : max
    const [scenario] = parsed('balanced', `--${flag}`, String(value)).scenarios
    assert.equal(scenario?.settings[name], value, flag)
  }
  assert.deepEqual(parsed('balanced', '--mix', 'buy=2,guess=1').scenarios[0]?.settings.mix, {
    buy: 2,
    hold: 0,
    again: 0,
    guess: 1,
  })
})

test('an override out of its range is refused with the range', () => {
  assert.throws(() => parsed('balanced', '--connections', '0'), /--connections must be a whole number from 1 to 20000/)
  assert.throws(() => parsed('balanced', '--fresh', '1.5'), /--fresh must be a number from 0 to 1/)
  assert.throws(() => parsed('balanced', '--seconds', 'long'), /--seconds must be a number/)
  assert.throws(() => parsed('balanced', '--mix', 'buy=1,steal=1'), /steal=1 is not one of buy, hold, again, guess/)
  assert.throws(() => parsed('balanced', '--mix', 'buy=0'), /at least one of them above 0/)
  assert.throws(() => parsed('sell-out', '--hot', '20000'), /the stock has fewer items/)
  assert.throws(() => parsed('balanced', '--connections', '2', '--workers', '3'), /each needs a connection/)
})

test('an unknown scenario or option is refused', () => {
  assert.throws(() => parsed('nothing'), /no scenario nothing/)
  assert.throws(() => parsed(), /name at least one scenario/)
  assert.throws(() => parsed('balanced', '--fast'))
})

test('what would put a password or a host into a report is refused', () => {
  assert.throws(() => parsed('balanced', '--env', 'DB_PASSWORD=secret'), /--env takes APP_/)
  assert.deepEqual(parsed('balanced', '--env', 'APP_HEARTBEAT_SECONDS=20').env, { APP_HEARTBEAT_SECONDS: '20' })
})

test('a running server gets buyers of its own, unless a seed is given', () => {
  const url = ['--url', 'http://localhost:8080']
  assert.equal(parsed('balanced').scenarios[0]?.settings.seed, findScenario('balanced')?.settings.seed)
  assert.notEqual(parsed('balanced', ...url).scenarios[0]?.settings.seed, findScenario('balanced')?.settings.seed)
  assert.equal(parsed('balanced', ...url, '--seed', '7').scenarios[0]?.settings.seed, 7)
  assert.throws(() => parsed('balanced', '--url', 'http://localhost:8080/api'), /without a path/)
})

test('a running server is left in peace', () => {
  const url = ['--url', 'http://localhost:8080']
  const [soak] = parsed('soak', ...url).scenarios
  assert.deepEqual([soak?.settings.reloadAt, soak?.settings.persisterKillAt], [0, 0])
  assert.throws(() => parsed('soak', ...url, '--reload-at', '0.5'), /are for a fresh server: they exclude --url/)
  assert.ok((parsed('soak').scenarios[0]?.settings.reloadAt ?? 0) > 0)
})

test('a mix reads back as it is written', () => {
  const mix = { buy: 90, hold: 0, again: 2.5, guess: 0 }
  assert.deepEqual(parseMix(formatMix(mix)), mix)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Setting } from '../../core/config/kinds.ts'
import { type Config, loadConfig } from '../../core/config/load.ts'
import { settingPlaces } from '../../core/config/settings.ts'
import { reloadable } from './reloadable.ts'

/** Where not every text is allowed. */
const otherTexts: Readonly<Record<string, string>> = {
  APP_ALLOWED_ORIGINS: 'https://shop.example',
  APP_JWT_KEYS: 'https://keys.example/jwks',
  APP_JWT_ALGORITHMS: 'ES256',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example',
  OTEL_EXPORTER_OTLP_HEADERS: 'name=value',
  OTEL_TRACES_SAMPLER_ARG: '0.5',
}

/** A value that is allowed and is not the default. */
function otherValue(setting: Setting): string {
  switch (setting.format) {
    case 'hotcakes-integer':
      return String(setting.default === setting.max ? setting.min : Math.max(setting.min, setting.default) + 1)
    case 'hotcakes-boolean':
      return String(!setting.default)
    case 'hotcakes-choice':
      return setting.choices.find((choice) => choice !== setting.default) ?? ''
    case 'hotcakes-text':
      return otherTexts[setting.env] ?? 'other'
    case 'hotcakes-host':
      return 'other.example'
    case 'hotcakes-nodes':
      return 'other.example:6379'
    case 'hotcakes-path':
      return '/srv/other'
  }
}

/** Both services are elsewhere: beside an embedded one the settings of a connection have no effect. */
function read(changes: Readonly<Record<string, string>> = {}): Config {
  return loadConfig({ env: { DB_HOST: 'db.example', REDIS_HOST: 'redis.example', ...changes } })
}

function valueIn(config: Config, group: string, name: string): unknown {
  return (config as unknown as Record<string, Record<string, unknown>>)[group]?.[name]
}

test('a reload takes the settings whose row says so, and names every other one that has changed', () => {
  // These two must name files that are there, and a cluster excludes REDIS_HOST.
  const others = new Set(['DB_SSL_ROOT_CERT', 'REDIS_TLS_CA', 'REDIS_CLUSTER'])
  const places = settingPlaces.filter(({ setting }) => !others.has(setting.env))
  const changes = Object.fromEntries(places.map(({ setting }) => [setting.env, otherValue(setting)]))
  const [inForce, now] = [read(), read(changes)]
  const { config, kept } = reloadable(inForce, now)
  // APP_BUYERS is another one too: see below.
  const isTaken = ({ group, setting }: (typeof places)[number]) => setting.reload === true && group !== 'buyers'
  const waiting = places.filter((place) => !isTaken(place))
  assert.deepEqual(
    kept,
    waiting.map(({ setting }) => setting.env),
  )
  for (const place of places) {
    const { group, name, setting } = place
    const source = isTaken(place) ? now : inForce
    assert.notEqual(valueIn(now, group, name), valueIn(inForce, group, name), `${setting.env} was not changed`)
    assert.equal(valueIn(config, group, name), valueIn(source, group, name), setting.env)
  }
})

test('who may buy, and by whose keys, changes as a whole: until then the issuer and the audience stay with them', () => {
  const signed = {
    APP_BUYERS: 'signed',
    APP_JWT_KEYS: 'https://keys.example/jwks',
    APP_JWT_ISSUER: 'https://id.example/',
    APP_JWT_AUDIENCE: 'shop',
  }
  const inForce = read(signed)
  // Without them tokens that the issuer's keys have signed for others would count.
  const open = reloadable(inForce, read())
  assert.deepEqual(open.config.buyers, inForce.buyers)
  assert.deepEqual(open.kept, Object.keys(signed))
  const other = { ...signed, APP_JWT_KEYS: 'https://keys.other.example/jwks', APP_JWT_ISSUER: 'https://other.example/' }
  const moved = reloadable(inForce, read(other))
  assert.deepEqual(moved.config.buyers, inForce.buyers)
  assert.deepEqual(moved.kept, ['APP_JWT_KEYS', 'APP_JWT_ISSUER'])

  const { config, kept } = reloadable(
    inForce,
    read({ ...signed, APP_JWT_AUDIENCE: 'other', APP_JWT_ALGORITHMS: 'ES256' }),
  )
  assert.deepEqual([config.buyers.audience, config.buyers.algorithms], ['other', inForce.buyers.algorithms])
  assert.deepEqual(kept, ['APP_JWT_ALGORITHMS'])
})

test('beside an embedded service the settings of its connection are not looked at', () => {
  const config = loadConfig({ env: {} })
  const db = { ...config.db, port: 1, password: 'drawn at the start' }
  assert.deepEqual(reloadable({ ...config, db }, config), { config: { ...config, db }, kept: [] })
})

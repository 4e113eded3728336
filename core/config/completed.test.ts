import assert from 'node:assert/strict'
import { test } from 'node:test'

import { completed } from './completed.ts'
import { type Config, loadConfig } from './load.ts'

test('settings that the primary does not know yet have their defaults, and all others stay as they are', () => {
  const config = loadConfig({ env: { APP_PORT: '81', REDIS_HOST: 'redis.example' } })
  const { allowedOrigins: _new, ...app } = config.app
  const { shardCount: _alone, ...known } = config
  const old = JSON.parse(JSON.stringify({ ...known, app })) as Config
  assert.deepEqual(completed(old), config)
  assert.deepEqual(completed(config), config)
})

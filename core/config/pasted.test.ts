// Goal: what people paste into a setting is refused at once, with the words that repair it, and no secret is repeated.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Fault } from '../faults.ts'
import { loadConfig } from './load.ts'
import { settingPlaces } from './settings.ts'

/** What is said of the one setting; '' when it is taken. */
function saidOf(env: string, text: string): string {
  try {
    loadConfig({ env: { [env]: text } })
    return ''
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'HC_CONFIG')
    return error.message
  }
}

const password = 'Tr0ub4dor'

test('a host is a name or an address, of either family', () => {
  const hosts = [
    'db',
    'db.example',
    'db.example.',
    'my_db-1',
    '10.0.0.1',
    '::1',
    '2001:db8::7',
    'fe80::1%eth0',
    'localhost',
  ]
  for (const host of [...hosts, '::ffff:10.0.0.1', `${'a'.repeat(63)}.example`]) {
    for (const env of ['DB_HOST', 'REDIS_HOST', 'APP_HOST', 'APP_METRICS_HOST'])
      assert.equal(saidOf(env, host), '', host)
  }
})

test('an address with its port, a URL, a list or a socket is no host, and the error says where its parts belong', () => {
  const hints: Readonly<Record<string, RegExp>> = {
    'h:6379': /without its port, and put 6379 into REDIS_PORT$/,
    '10.0.0.1:6379': /without its port, and put 6379 into REDIS_PORT$/,
    '[::1]': /an IPv6 address without brackets$/,
    '[2001:db8::7]:6380': /without brackets, and put 6380 into REDIS_PORT$/,
    'redis://h:6379': /the host of this URL alone, put 6379 into REDIS_PORT$/,
    'redis://h': /the host of this URL alone$/,
    'redis://h/0': /the host of this URL alone$/,
    [`redis://:${password}@h:6379/0`]:
      /put 6379 into REDIS_PORT, put user and password into REDIS_USER and REDIS_PASSWORD$/,
    [`rediss://me:${password}@h:6380`]:
      /put 6380 into REDIS_PORT, put user and password into REDIS_USER and REDIS_PASSWORD, and set REDIS_TLS=true$/,
    [`redis://me:${password}#@h`]: /the host of this URL alone/,
    'http://h:8080/': /the host of this URL alone, put 8080 into REDIS_PORT$/,
    'tcp://10.96.0.12:6379': /the host of this URL alone, put 6379 into REDIS_PORT$/,
    [`me:${password}@h`]: /no user belongs in it, put user and password into REDIS_USER and REDIS_PASSWORD$/,
    'me@h': /no user belongs in it, put user and password into/,
    'h1,h2': /one host, not a list$/,
    'h1:6379,h2:6379': /one host, not a list$/,
    '/run/redis/redis.sock': /a Unix socket is not supported, only TCP$/,
    ' h': /leave out the white space around it$/,
    'h ': /leave out the white space around it$/,
    'h\n': /leave out the white space around it$/,
    '"h"': /leave out the quotes/,
    "'h'": /leave out the quotes/,
    'h/': /without a slash$/,
    'h/0': /without a slash$/,
    '6379': /no whole IPv4 address$/,
    '10.0.0': /no whole IPv4 address$/,
    '10.0.0.256': /no whole IPv4 address$/,
    '10.0.0.0/8': /without a slash$/,
    '*': /write :: for every address$/,
    'a b': /neither a name nor an address$/,
    '2001:db8:::1': /neither a name nor an address$/,
    'h:port': /neither a name nor an address$/,
    '-h': /neither a name nor an address$/,
    ['a'.repeat(300)]: /neither a name nor an address$/,
    '${REDIS_HOST}': /neither a name nor an address$/,
  }
  for (const [text, hint] of Object.entries(hints)) {
    const said = saidOf('REDIS_HOST', text)
    assert.match(said, /^REDIS_HOST must be a host name or an IP address: [^\n]+$/, text)
    assert.match(said, hint, text)
    assert.ok(!said.includes(password), said)
  }
})

test('the variables that are named are those of the host', () => {
  assert.match(saidOf('DB_HOST', 'h:5432'), /put 5432 into DB_PORT$/)
  const url = saidOf('DB_HOST', `postgresql://me:${password}@h:5432/sales?sslmode=require`)
  assert.match(
    url,
    /put 5432 into DB_PORT, put user and password into DB_USER and DB_PASSWORD, put the database into DB_NAME$/,
  )
  assert.match(saidOf('DB_HOST', 'postgres://h1:5432,h2:5432/sales'), /the host of this URL alone/)
  assert.match(saidOf('APP_HOST', 'http://0.0.0.0:8080'), /put 8080 into APP_PORT$/)
  assert.match(saidOf('APP_HOST', 'me@h'), /: no user belongs in it$/)
  assert.match(saidOf('APP_METRICS_HOST', '0.0.0.0:9090'), /put 9090 into APP_METRICS_PORT$/)
})

test('DB_HOST may be the folder of a Unix socket, and no other host', () => {
  assert.equal(saidOf('DB_HOST', '/var/run/postgresql'), '')
  assert.match(
    saidOf('DB_HOST', '/var/run/postgresql/.s.PGSQL.5432'),
    /the folder of the socket, not the socket itself$/,
  )
  for (const env of ['REDIS_HOST', 'APP_HOST']) assert.match(saidOf(env, '/run/x'), /a Unix socket is not supported/)
})

test('numbers with units, groups or a protocol are refused with the number that is meant', () => {
  const hints: readonly (readonly [env: string, text: string, hint: RegExp])[] = [
    [
      'REDIS_PORT',
      'tcp://10.96.0.12:6379',
      /a Service named redis: enableServiceLinks: false in the pod's spec ends that$/,
    ],
    ['DB_PORT', 'tcp://10.96.0.13:5432', /a Service named db: enableServiceLinks: false/],
    ['APP_PORT', 'tcp://[fd00::1]:8080', /a Service named app: enableServiceLinks: false/],
    ['APP_METRICS_PORT', 'tcp://10.96.0.14:9090', /a Service named app-metrics: /],
    ['APP_PORT', '8080/tcp', /, not "8080\/tcp": write 8080$/],
    ['APP_PORT', '8081:8080', /, not "8081:8080": write 8080$/],
    ['APP_PORT', '127.0.0.1:8080:8080', /: write 8080$/],
    ['APP_PORT', ':8080', /: write 8080$/],
    ['APP_PORT', '8080:99999', /, not "8080:99999"$/],
    ['APP_ITEM_NUMBER', '10_000', /, not "10_000": write 10000$/],
    ['APP_ITEM_NUMBER', '1,000', /: write 1000$/],
    ['APP_SHUTDOWN_SECONDS', '30s', /, not "30s": write 30$/],
    ['APP_HOLD_SECONDS', '5m', /: write 300$/],
    ['APP_HOLD_SECONDS', '10 minutes', /, not "10 minutes": write 600$/],
    ['APP_DEADLINE_MS', '0.5s', /, not "0.5s"$/],
    ['APP_DEADLINE_MS', '2s', /: write 2000$/],
    ['REDIS_TTL', '1d', /: write 24$/],
    ['REDIS_TTL', '90m', /, not "90m"$/],
    ['APP_WORKERS', 'auto', /, not "auto"$/],
    ['APP_PORT', '8080 ', /, not "8080 ": leave out the white space around it$/],
    ['APP_PORT', '"8080"', /: leave out the quotes/],
  ]
  for (const [env, text, hint] of hints) assert.match(saidOf(env, text), hint, `${env}=${text}`)
})

test('a choice is taken in capitals as well, and what others call it is refused with our word for it', () => {
  assert.equal(loadConfig({ env: { LOG_LEVEL: 'INFO' } }).log.level, 'info')
  assert.equal(loadConfig({ env: { APP_ACK: 'Postgres' } }).app.ack, 'postgres')
  const hints: readonly (readonly [env: string, text: string, meant: string])[] = [
    ['LOG_LEVEL', 'warning', 'warn'],
    ['LOG_LEVEL', 'WARNING', 'warn'],
    ['LOG_LEVEL', 'verbose', 'trace'],
    ['DB_SSL_MODE', 'on', 'require, or verify-full with DB_SSL_ROOT_CERT'],
    ['DB_SSL_MODE', 'TRUE', 'require, or verify-full with DB_SSL_ROOT_CERT'],
    ['DB_SSL_MODE', 'false', 'disable'],
    ['DB_SSL_MODE', 'REQUIRED', 'require'],
    ['DB_SSL_MODE', 'verify_full', 'verify-full'],
    ['DB_SSL_MODE', 'allow', 'prefer'],
  ]
  for (const [env, text, meant] of hints)
    assert.ok(saidOf(env, text).endsWith(`: did you mean ${meant}?`), saidOf(env, text))
})

test('booleans are on and off too, and not more than that', () => {
  assert.equal(loadConfig({ env: { REDIS_TLS: 'on' } }).redis.tls, true)
  assert.equal(loadConfig({ env: { REDIS_TLS: 'Off' } }).redis.tls, false)
  assert.match(saidOf('REDIS_TLS', 'true '), /true or false, not "true ": leave out the white space around it$/)
  assert.match(saidOf('REDIS_TLS', 'enabled'), /true or false, not "enabled"$/)
})

test('a path is one that the system knows: no shell is there to replace a part of it', () => {
  for (const path of ['~/data', '$HOME/data', '/srv/${NAME}/data']) {
    assert.match(saidOf('APP_DATA_DIR', path), /write the whole path: ~ and variables are not replaced here$/, path)
  }
  assert.match(saidOf('APP_DATA_DIR', '"/srv/data"'), /leave out the quotes/)
  assert.match(saidOf('APP_DATA_DIR', 'file:///srv/data'), /write a path, not a URL$/)
  assert.match(saidOf('REDIS_TLS_CA', '-----BEGIN CERTIFICATE-----\nMIIB\n'), /name a file that holds it$/)
  assert.equal(saidOf('APP_DATA_DIR', '/srv/my data'), '')
})

test('names are names: a URL or quotes are refused', () => {
  for (const env of ['DB_NAME', 'DB_USER', 'DB_OWNER_USER', 'REDIS_USER']) {
    const said = saidOf(env, `postgres://me:${password}@h/sales`)
    assert.match(said, /: a URL has to be taken apart: each of its parts has a variable of its own$/, env)
    assert.ok(!said.includes(password))
    assert.match(saidOf(env, '"hotcakes"'), /leave out the quotes/, env)
  }
})

test('a secret in the wrong variable is not repeated, whichever it is', () => {
  const secrets = [
    'Zk3vQ0mX9aTbr2LqP8wN',
    'correct-horse-battery-staple',
    'hunter2@home',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    `postgres://me:${password}@h/d`,
    '9f86d081884c7d659a2feaa0c55ad015',
    '-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----',
  ]
  for (const { setting } of settingPlaces) {
    for (const secret of secrets) {
      const said = saidOf(setting.env, secret)
      assert.ok(
        !said.includes(secret) && !said.includes(password) && !said.includes('MIIEvQ'),
        `${setting.env}: ${said}`,
      )
    }
  }
  const asFile = saidOf('DB_PASSWORD_FILE', secrets[0] as string)
  assert.match(
    asFile,
    /^DB_PASSWORD_FILE names these 20 characters \(not shown: they may be a secret\), which cannot be read/,
  )
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { test } from 'node:test'

import { Fault } from '../faults.ts'
import { usableCores } from './cores.ts'
import { loadConfig, redacted } from './load.ts'
import { settingPlaces } from './settings.ts'

function dotenvFile(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'hotcakes-config-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, '.env')
  writeFileSync(path, text)
  return path
}

function faultOf(load: () => unknown): Fault {
  try {
    load()
  } catch (error) {
    assert.ok(error instanceof Fault)
    assert.equal(error.code, 'HC_CONFIG')
    return error
  }
  throw new Error('the configuration was taken')
}

test('with nothing set every setting has its default, and both services are embedded', () => {
  const config = loadConfig({ env: {} })
  assert.deepEqual(
    { port: config.app.port, items: config.app.itemNumber, limit: config.app.userLimit, hold: config.app.holdSeconds },
    { port: 8080, items: 10_000, limit: 10, hold: 600 },
  )
  assert.equal(config.app.workers, Math.ceil(usableCores() / 2))
  assert.equal(loadConfig({ env: { REDIS_HOST: 'redis.example.com' } }).app.workers, usableCores())
  assert.equal(config.redis.ttlHours, 24)
  assert.deepEqual([config.db.embedded, config.redis.embedded], [true, true])
  assert.deepEqual(config.warnings, [])
})

test('a default is a value that the setting itself allows, unless it stands for "not set"', () => {
  for (const { setting } of settingPlaces) {
    if (setting.default === '') continue
    assert.doesNotThrow(() => loadConfig({ env: { [setting.env]: String(setting.default) } }), setting.env)
  }
})

test('the environment wins over the file, and an empty value counts as not set', (t) => {
  const file = dotenvFile(t, 'APP_PORT=1111\nAPP_USER_LIMIT=3\nAPP_HOLD_SECONDS=\nDB_HOST=db.example\n')
  const config = loadConfig({ env: { APP_PORT: '2222', APP_USER_LIMIT: '' }, dotenvFile: file })
  assert.equal(config.app.port, 2222)
  assert.equal(config.app.userLimit, 3)
  assert.equal(config.app.holdSeconds, 600)
  assert.equal(config.db.host, 'db.example')
  assert.deepEqual([config.db.embedded, config.redis.embedded], [false, true])
})

test('the file may be written as people write it for a shell, for Compose or on Windows', (t) => {
  const read = (text: string) => loadConfig({ env: { DB_HOST: 'd' }, dotenvFile: dotenvFile(t, text) })
  const spellings = [
    'export DB_PASSWORD=p\nexport  DB_USER = u\n',
    '\uFEFFDB_PASSWORD=p\r\nDB_USER=u\r\n',
    "\tDB_PASSWORD\t=\tp\t# a comment\n  # another: it's one\nDB_USER: u",
    'DB_PASSWORD="p" # a comment\nno setting\nDB_USER=\'u\'\n',
    'DB_PASSWORD=`p`\nDB_USER=x\nDB_USER=u',
    'DB_PASSWORD=p\nDB_USER=u\nNOTE="a text of two lines\nDB_USER=x"\n',
  ]
  for (const text of spellings) {
    const { password, user } = read(text).db
    assert.deepEqual({ password, user }, { password: 'p', user: 'u' }, text)
  }
  const passwords: Readonly<Record<string, string>> = {
    'DB_PASSWORD="p #w"': 'p #w',
    'DB_PASSWORD=p#w': 'p',
    "DB_PASSWORD='p\\n\"w'": 'p\\n"w',
    'DB_PASSWORD=a=b$c${d}': 'a=b$c${d}',
    'DB_PASSWORD="a\'b`c"': "a'b`c",
  }
  for (const [text, password] of Object.entries(passwords)) assert.equal(read(text).db.password, password, text)
})

test('reading the file leaves process.env alone', (t) => {
  loadConfig({ env: {}, dotenvFile: dotenvFile(t, 'APP_USER_LIMIT=3\n') })
  assert.equal(process.env['APP_USER_LIMIT'], undefined)
})

test('a missing file is fine, an unreadable one is a fault', (t) => {
  const file = dotenvFile(t, '')
  assert.doesNotThrow(() => loadConfig({ env: {}, dotenvFile: `${file}.absent` }))
  assert.match(faultOf(() => loadConfig({ env: {}, dotenvFile: tmpdir() })).message, /cannot be read/)
  // Not there for a look at whether it is, and yet no file that nobody has written.
  symlinkSync(`${file}.loop`, `${file}.loop`)
  assert.match(faultOf(() => loadConfig({ env: {}, dotenvFile: `${file}.loop` })).message, /cannot be read: ELOOP/)
  assert.match(faultOf(() => loadConfig({ env: {}, dotenvFile: `${file}/.env` })).message, /cannot be read: ENOTDIR/)
})

test('one fault names every bad variable, its value and what is allowed', () => {
  const env = {
    APP_PORT: '80x',
    APP_WORKERS: '-1',
    REDIS_TLS: 'maybe',
    DB_SSL_MODE: 'strict',
    LOG_LEVEL: 'loud',
    DB_USER: 'a\nb',
  }
  const lines = faultOf(() => loadConfig({ env })).message.split('\n')
  assert.equal(lines.length, Object.keys(env).length)
  for (const [name, value] of Object.entries(env)) {
    const line = lines.find((candidate) => candidate.startsWith(`${name} must be `))
    assert.ok(line?.endsWith(`, not ${JSON.stringify(value)}`), `${name}: ${line}`)
  }
  assert.ok(lines.includes('APP_PORT must be an integer from 1 to 65535, not "80x"'))
})

test('integers are not guessed at', () => {
  for (const value of ['80.5', '1e3', '0x50', ' 80', '80 ', '９', '99999999999999999999', 'NaN', '0', '65536']) {
    assert.match(faultOf(() => loadConfig({ env: { APP_PORT: value } })).message, /APP_PORT must be an integer/, value)
  }
})

test('booleans are read in either case and spelling', () => {
  for (const value of ['true', 'TRUE', '1', 'yes'])
    assert.equal(loadConfig({ env: { REDIS_TLS: value } }).redis.tls, true)
  for (const value of ['false', 'False', '0', 'no'])
    assert.equal(loadConfig({ env: { REDIS_TLS: value } }).redis.tls, false)
})

test('no secret appears in a fault, a warning or the redacted configuration', () => {
  const secret = 'correct-horse'
  const badly = faultOf(() => loadConfig({ env: { DB_PASSWORD: `${secret}\n`, REDIS_PASSWORD: `${secret}\0` } }))
  assert.match(badly.message, /DB_PASSWORD must be .*\nREDIS_PASSWORD must be /)
  assert.ok(!`${badly.stack} ${JSON.stringify(badly)} ${String(badly.cause)}`.includes(secret))

  const config = loadConfig({ env: { DB_PASSWORD: secret, DB_HOST: 'db.example' } })
  assert.equal(config.db.password, secret)
  assert.deepEqual(redacted(config)['db'], {
    host: 'db.example',
    port: 5432,
    user: 'hotcakes',
    password: 'set',
    ownerUser: '',
    ownerPassword: 'not set',
    name: 'hotcakes',
    sslMode: 'prefer',
    sslRootCert: '',
  })
  assert.equal(redacted(config)['redis']?.['password'], 'not set')
  const withoutHost = loadConfig({ env: { DB_PASSWORD: secret, REDIS_PASSWORD: secret } })
  assert.equal(withoutHost.warnings.length, 2)
  assert.ok(!JSON.stringify(withoutHost.warnings).includes(secret))
})

const withPassword = (password: string) => loadConfig({ env: { REDIS_HOST: 'r', REDIS_PASSWORD: password } })

test('a secret is taken as it is, with a warning when it was probably not meant so', () => {
  for (const password of ['"quoted"', ' spaces ', 'redis://:p@h']) {
    const { redis, warnings } = withPassword(password)
    assert.equal(redis.password, password)
    assert.match(warnings.join(), /^REDIS_PASSWORD may not be what you mean: (leave out|write the password)/)
    assert.ok(!warnings.join().includes(password))
  }
  for (const password of ['p#"\'w', '"', "it's"]) assert.deepEqual(withPassword(password).warnings, [])
})

test('settings that exclude each other are named together', () => {
  const ports = faultOf(() => loadConfig({ env: { APP_PORT: '9090' } }))
  assert.match(ports.message, /APP_METRICS_PORT must differ from APP_PORT/)
  const keys = faultOf(() => loadConfig({ env: { REDIS_TTL: '1', APP_HOLD_SECONDS: '3601' } }))
  assert.match(keys.message, /REDIS_TTL must be at least as long as a hold/)
  const redis = faultOf(() => loadConfig({ env: { REDIS_HOST: 'a', REDIS_CLUSTER: 'a:1' } }))
  assert.match(redis.message, /REDIS_HOST and REDIS_CLUSTER are both set/)
})

test('an origin that no browser sends is refused, and the right spelling named', () => {
  const { message } = faultOf(() =>
    loadConfig({ env: { APP_ALLOWED_ORIGINS: 'https://a.example,https://b.example/shop' } }),
  )
  assert.equal(message, 'APP_ALLOWED_ORIGINS: entry 2 is not what browsers send as the origin: write https://b.example')
})

test('a file of certificates that cannot be read, or has none, is named with its setting', (t) => {
  const files = { DB_SSL_ROOT_CERT: '/nowhere/root.crt', REDIS_TLS_CA: '/nowhere/ca.crt' }
  const { message } = faultOf(() => loadConfig({ env: files }))
  assert.match(message, /^DB_SSL_ROOT_CERT must be a file .*root\.crt.*ENOENT.*\nREDIS_TLS_CA must be a file .*ca\.crt/)
  const empty = dotenvFile(t, '')
  assert.match(faultOf(() => loadConfig({ env: { REDIS_TLS_CA: empty } })).message, /\.env has none in it$/)
  assert.match(faultOf(() => loadConfig({ env: { REDIS_TLS_CA: tmpdir() } })).message, /cannot be read \(EISDIR\)$/)
})

test('unknown names in the file are warned about, with the one that was probably meant', (t) => {
  const file = dotenvFile(t, 'APP_PROT=1\nDB_PASS=x\nREDIS_URL=y\nHOME=z\n')
  const { warnings } = loadConfig({ env: { APP_FOREIGN: '1' }, dotenvFile: file })
  assert.deepEqual(warnings, [
    `${file}: APP_PROT is not a setting, did you mean APP_PORT?`,
    `${file}: DB_PASS is not a setting, did you mean DB_PASSWORD?`,
    `${file}: REDIS_URL is not a setting`,
  ])
})

test('in the environment, which others use too, only what looks like a slip is warned about', () => {
  const env = { APP_WORKER: '2', DB_PASSWORD_FLE: 'x', REDIS_HSOT: 'h', APP_FOREIGN: '1', DB_PASS: 'x', LOG_FILE: 'y' }
  const ofService = { REDIS_PORT_6379_TCP: 'tcp://10.96.0.12:6379', REDIS_SERVICE_HOST: '10.96.0.12', APP_NAME: 'shop' }
  const { warnings } = loadConfig({ env: { ...env, ...ofService } })
  assert.deepEqual(warnings, [
    'APP_WORKER in the environment is not a setting, did you mean APP_WORKERS?',
    'DB_PASSWORD_FLE in the environment is not a setting, did you mean DB_PASSWORD_FILE?',
    'REDIS_HSOT in the environment is not a setting, did you mean REDIS_HOST?',
  ])
})

test('without a host, the settings of its connection are named as without effect, and no others', (t) => {
  const certificates = dotenvFile(t, '-----BEGIN CERTIFICATE-----\n')
  const postgres = {
    DB_PORT: '5433',
    DB_USER: 'shop',
    DB_PASSWORD: 'p',
    DB_OWNER_USER: 'owner',
    DB_OWNER_PASSWORD: 'q',
    DB_NAME: 'shop',
    DB_SSL_MODE: 'require',
    DB_SSL_ROOT_CERT: certificates,
  }
  const redis = {
    REDIS_PORT: '6380',
    REDIS_USER: 'shop',
    REDIS_PASSWORD: 'r',
    REDIS_TLS: 'true',
    REDIS_TLS_CA: certificates,
  }
  const env = { ...postgres, ...redis, REDIS_TTL: '48', REDIS_REQUIRE_DURABLE: 'true', LOG_LEVEL: 'warn' }
  assert.deepEqual(loadConfig({ env }).warnings, [
    `without DB_HOST an embedded server is used: ${Object.keys(postgres).join(', ')} has no effect`,
    `without REDIS_HOST an embedded server is used: ${Object.keys(redis).join(', ')} has no effect`,
  ])
  assert.deepEqual(loadConfig({ env: { ...env, DB_HOST: 'd', REDIS_HOST: 'r' } }).warnings, [])
})

test('of one host only its port has no effect beside a cluster', () => {
  const env = {
    REDIS_CLUSTER: 'a:1,b:2',
    REDIS_PORT: '6380',
    REDIS_USER: 'shop',
    REDIS_PASSWORD: 'r',
    REDIS_TLS: 'true',
  }
  const { redis, warnings } = loadConfig({ env })
  assert.deepEqual(warnings, ['the nodes of REDIS_CLUSTER have ports: REDIS_PORT has no effect'])
  assert.deepEqual([redis.cluster, redis.embedded], ['a:1,b:2', false])
})

function shards(env: Record<string, string>): { new: number; all: number } {
  const { app, shardCount } = loadConfig({ env })
  return { new: app.shards, all: shardCount }
}

test('an installation has at least as many shards as its new sales', () => {
  assert.deepEqual(shards({}), { new: 1, all: 1 })
  assert.deepEqual(shards({ APP_SHARDS: '3' }), { new: 3, all: 3 })
  for (const value of ['0', '65', '1.5', 'two'])
    assert.match(faultOf(() => shards({ APP_SHARDS: value })).message, /^APP_SHARDS must be an integer from 1 to 64/)
})

test('the configuration is frozen to its leaves', () => {
  const config = loadConfig({ env: {} })
  for (const part of [config, config.app, config.db, config.redis, config.log, config.warnings]) {
    assert.ok(Object.isFrozen(part))
  }
})

test('a password can be in a file of its own, and is given one way only', (t) => {
  const secret = dotenvFile(t, 'p#ss word\n')
  const config = loadConfig({ env: { DB_HOST: 'db.example', DB_PASSWORD_FILE: secret } })
  assert.equal(config.db.password, 'p#ss word')
  const both = faultOf(() => loadConfig({ env: { DB_PASSWORD: 'x', DB_PASSWORD_FILE: secret } }))
  assert.match(both.message, /DB_PASSWORD and DB_PASSWORD_FILE are both set/)
  const missing = faultOf(() => loadConfig({ env: { REDIS_PASSWORD_FILE: `${secret}.not` } }))
  assert.match(missing.message, /REDIS_PASSWORD_FILE names .*\.not, which cannot be read \(ENOENT\)$/)
  const empty = faultOf(() => loadConfig({ env: { DB_PASSWORD_FILE: dotenvFile(t, '\n') } }))
  assert.match(empty.message, /^DB_PASSWORD_FILE names .*, which is empty$/)
  const marked = loadConfig({ env: { DB_HOST: 'd', DB_PASSWORD_FILE: dotenvFile(t, '\uFEFFp\r\n') } })
  assert.equal(marked.db.password, 'p', 'without the byte order mark and the end of the line')
  assert.deepEqual(
    loadConfig({ env: {}, dotenvFile: dotenvFile(t, `DB_HOST=d\nDB_PASSWORD_FILE=${secret}\n`) }).warnings,
    [],
  )
})

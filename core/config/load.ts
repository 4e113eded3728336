import { readFileSync } from 'node:fs'

import convict from 'convict'

import { Fault } from '../faults.ts'
import { portsRefusedByBrowsers } from '../refused-ports.ts'
import { problemsOfBuyers, warningsOfBuyers } from './buyers.ts'
import { closestName, nearestName } from './closest.ts'
import { cpuQuota, usableCores } from './cores.ts'
import { defaultWorkers } from './default-workers.ts'
import { readDotenv } from './dotenv-file.mjs'
import { coercions, problemOf } from './kinds.ts'
import { problemsOfOrigins } from './origins.ts'
import { wrappingHint } from './pasted.ts'
import { secretFileNames, shownPath, withSecretFiles } from './secret-files.ts'
import type { SettingValues } from './settings.ts'
import { settingPlaces, settings } from './settings.ts'
import { problemsOfTracing, warningsOfTracing } from './tracing.ts'

export interface Config extends SettingValues {
  readonly db: SettingValues['db'] & {
    /** No DB_HOST: the server runs a PostgreSQL of its own, and the other members of `db` are without effect. */
    readonly embedded: boolean
  }
  readonly redis: SettingValues['redis'] & {
    /** No REDIS_HOST and no REDIS_CLUSTER: the server runs a Redis of its own, and the settings of the connection are without effect. */
    readonly embedded: boolean
  }
  /**
   * Shards of the installation: the sales on record may have more than new ones get. As loaded it is `app.shards`; the
   * primary raises it once Postgres has been asked.
   */
  readonly shardCount: number
  /** Sentences about what is allowed but probably not meant, for the log. They hold names, never values. */
  readonly warnings: readonly string[]
}

type Variables = Readonly<Record<string, string | undefined>>

const ourPrefixes = ['APP_', 'DB_', 'REDIS_', 'LOG_', 'UWS_', 'OTEL_']

// convict finds each setting's variable, reads its text and fills in the defaults; it does no more than that. Its own formats
// read '80x' as 80 and 'no' as true, where a slip must be named, so they are ours. And what it says of a value that is not
// allowed repeats the value, which may be a secret: so values are judged by `problemOf` alone.
for (const [name, coerce] of Object.entries(coercions)) convict.addFormat({ name, coerce, validate: () => undefined })

/**
 * The configuration out of `env` and the file, which need not exist; where both name a variable, `env` wins. An empty
 * value counts as not set: that is what an unfilled line of a compose file or of `.env.example` means.
 * @throws Fault HC_CONFIG that names every variable with a problem, never the value of a secret
 */
export function loadConfig(options: { env: Variables; dotenvFile?: string }): Readonly<Config> {
  const file = options.dotenvFile === undefined ? {} : readFile(options.dotenvFile)
  const variables = withSecretFiles({ ...withoutEmpty(file), ...withoutEmpty(options.env) })

  // args: [] because convict would take settings from the command line as well, unannounced.
  const values = convict<SettingValues>(settings, { env: variables, args: [] }).getProperties()
  const problems = settingPlaces.flatMap(
    ({ group, name, setting }) => problemOf(setting, valueAt(values, group, name)) ?? [],
  )
  if (problems.length === 0) problems.push(...problemsBetween(values), ...unusableFiles(values))
  if (problems.length > 0) throw new Fault('HC_CONFIG', problems.join('\n'))

  const warnings = [
    ...unknownNames(file, options.dotenvFile ?? ''),
    ...misspeltNames(withoutEmpty(options.env)),
    ...settingsWithoutEffect(variables),
    ...oddSecrets(values),
    ...workersAboveQuota(values),
    ...refusedPorts(values),
    ...warningsOfBuyers(values.buyers, variables),
    ...warningsOfTracing(values.tracing, variables),
  ]
  return deepFreeze({
    ...values,
    app: { ...values.app, workers: values.app.workers || defaultWorkers(usableCores(), values.redis) },
    db: { ...values.db, embedded: values.db.host === '' },
    redis: { ...values.redis, embedded: values.redis.host === '' && values.redis.cluster === '' },
    shardCount: values.app.shards,
    warnings,
  })
}

/** The configuration as it may be logged: secrets only as "set" or "not set". */
export function redacted(config: Config): Record<string, Record<string, unknown>> {
  const shown: Record<string, Record<string, unknown>> = {}
  for (const { group, name, setting } of settingPlaces) {
    const value = valueAt(config, group, name)
    const members = (shown[group] ??= {})
    members[name] = setting.sensitive === true ? (value === '' ? 'not set' : 'set') : value
  }
  return shown
}

function valueAt(values: SettingValues, group: string, name: string): unknown {
  return (values as unknown as Record<string, Record<string, unknown>>)[group]?.[name]
}

function readFile(path: string): Record<string, string> {
  try {
    return readDotenv(path)
  } catch (cause) {
    throw new Fault('HC_CONFIG', `${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

function withoutEmpty(variables: Variables): Record<string, string> {
  const set = Object.entries(variables).filter((entry): entry is [string, string] => (entry[1] ?? '') !== '')
  return Object.fromEntries(set)
}

/** Rules that concern more than one setting; each value by itself is allowed already. */
function problemsBetween({ app, buyers, redis, tracing }: SettingValues): string[] {
  const problems: string[] = []
  if (app.port === app.metricsPort) {
    problems.push(`APP_METRICS_PORT must differ from APP_PORT, both are ${app.port}`)
  }
  if (redis.ttlHours * 3_600 < app.holdSeconds) {
    // A code of a closed sale stays redeemable until its hold ends; without the sale's keys it would be unknown.
    const held = `APP_HOLD_SECONDS is ${app.holdSeconds}`
    problems.push(`REDIS_TTL must be at least as long as a hold: ${redis.ttlHours} hours are not, ${held}`)
  }
  if (redis.host !== '' && redis.cluster !== '') {
    problems.push('REDIS_HOST and REDIS_CLUSTER are both set: name one Redis server, or nodes of a cluster')
  }
  problems.push(...problemsOfOrigins(app.allowedOrigins), ...problemsOfBuyers(buyers), ...problemsOfTracing(tracing))
  return problems
}

function unusableFiles({ db, redis }: SettingValues): string[] {
  const files = { DB_SSL_ROOT_CERT: db.sslRootCert, REDIS_TLS_CA: redis.tlsCa }
  return Object.entries(files).flatMap(([name, path]) => {
    const problem = path === '' ? undefined : problemOfPem(path)
    return problem === undefined
      ? []
      : [`${name} must be a file with certificates (PEM): ${shownPath(path)} ${problem}`]
  })
}

function problemOfPem(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').includes('-----BEGIN ') ? undefined : 'has none in it'
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code})`
  }
}

/** A secret is taken as it is. These are the ones that were probably not meant so. */
function oddSecrets(values: SettingValues): string[] {
  return settingPlaces.flatMap(({ group, name, setting }) => {
    const text = setting.sensitive === true ? String(valueAt(values, group, name)) : ''
    const hint = wrappingHint(text) ?? (text.includes('://') ? 'write the password of a URL alone' : undefined)
    return hint === undefined ? [] : [`${setting.env} may not be what you mean: ${hint}`]
  })
}

function workersAboveQuota({ app: { workers } }: SettingValues): string[] {
  const quota = cpuQuota()
  if (quota === undefined || workers <= Math.max(1, quota)) return []
  return [`APP_WORKERS is ${workers}, but the CPU quota is that of ${quota} cores: busy workers will halt each other`]
}

function refusedPorts({ app: { port } }: SettingValues): string[] {
  if (!portsRefusedByBrowsers.has(port)) return []
  return [
    'APP_PORT may not be what you mean: browsers and fetch refuse to ask this port, so nobody sees the board there',
  ]
}

const settingNames = settingPlaces.map(({ setting }) => setting.env)
const knownNames: ReadonlySet<string> = new Set([...settingNames, ...secretFileNames])

function unknownAmong(variables: Variables): string[] {
  return Object.keys(variables).filter(
    (name) => !knownNames.has(name) && ourPrefixes.some((prefix) => name.startsWith(prefix)),
  )
}

/** The file is ours alone: each name in it that begins like one of ours should be one. */
function unknownNames(file: Variables, path: string): string[] {
  return unknownAmong(file).map((name) => {
    const meant = closestName(name, settingNames)
    return `${path}: ${name} is not a setting${meant === undefined ? '' : `, did you mean ${meant}?`}`
  })
}

/** The environment holds variables of others, which may begin alike: only what looks like a slip is told. */
function misspeltNames(env: Variables): string[] {
  return unknownAmong(env).flatMap((name) => {
    const meant = nearestName(name, [...knownNames])
    return meant === undefined ? [] : [`${name} in the environment is not a setting, did you mean ${meant}?`]
  })
}

/** A password or port without its host means that somebody expects a server to be used which will not be. */
function settingsWithoutEffect(variables: Variables): string[] {
  const hosts = new Set(settingPlaces.flatMap(({ setting }) => setting.needsHost ?? []))
  return [...hosts].flatMap((host) => {
    if (variables[host] !== undefined) return []
    const isCluster = host === 'REDIS_HOST' && variables['REDIS_CLUSTER'] !== undefined
    const idle = settingPlaces
      .map(({ setting }) => setting)
      .filter(({ needsHost, isOfOneHost = false }) => needsHost === host && (isOfOneHost || !isCluster))
      .map(({ env }) => env)
      .filter((name) => variables[name] !== undefined)
    if (idle.length === 0) return []
    const why = isCluster ? 'the nodes of REDIS_CLUSTER have ports' : `without ${host} an embedded server is used`
    return [`${why}: ${idle.join(', ')} has no effect`]
  })
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) deepFreeze(member)
  return Object.freeze(value)
}

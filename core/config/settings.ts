import { holdSecondsMax, shardsMax, workersMax } from '../limits.ts'
import { buyerSettings } from './buyer-settings.ts'
import { host, path, port, secret } from './common-settings.ts'
import type { Setting } from './kinds.ts'
import { redisSettings } from './redis-settings.ts'
import { tracingSettings } from './tracing-settings.ts'

const identifier = {
  format: 'hotcakes-text',
  // A URL is taken for what it is, a secret perhaps, before Postgres puts it into its own errors.
  pattern: /^(?!.*:\/\/)[^\p{Cc}]{1,63}$/u,
  allowed: '1 to 63 characters, none of them a control character',
} as const

function anyOf(texts: readonly string[], meant: string): Record<string, string> {
  return Object.fromEntries(texts.map((text) => [text, meant]))
}

/**
 * Every setting, in the order in which `--help` and `.env.example` show them. The shape is the shape of the
 * configuration: `settings.app.port` describes `config.app.port`.
 */
export const settings = {
  app: {
    host: {
      ...host,
      env: 'APP_HOST',
      portEnv: 'APP_PORT',
      default: '::',
      defaultMeans: 'every address of this machine, IPv6 and IPv4',
      doc: 'Address that the API listens on. 0.0.0.0: every IPv4 address only.',
    },
    port: { ...port, env: 'APP_PORT', default: 8080, doc: 'Port that the API listens on.' },
    metricsHost: {
      ...host,
      env: 'APP_METRICS_HOST',
      portEnv: 'APP_METRICS_PORT',
      default: 'localhost',
      defaultMeans: '127.0.0.1 and ::1',
      doc: 'Address that /metrics and /purchases listen on. Loopback by default: they are not for buyers.',
    },
    metricsPort: {
      ...port,
      env: 'APP_METRICS_PORT',
      default: 9090,
      doc: 'Port that /metrics and /purchases listen on.',
    },
    workers: {
      format: 'hotcakes-integer',
      env: 'APP_WORKERS',
      default: 0,
      defaultMeans: 'one per core, or per two where Redis runs on the same cores',
      min: 0,
      max: workersMax,
      unit: 'processes',
      doc: "HTTP worker processes. Without a number there is one for each core; half as many, rounded up, where Redis has the same cores: embedded, or at a loopback address. Of a container's CPU quota only whole cores count, one at least: 1 worker for 1.5.",
    },
    itemNumber: {
      format: 'hotcakes-integer',
      env: 'APP_ITEM_NUMBER',
      reload: true,
      default: 10_000,
      min: 1,
      max: 1_000_000,
      unit: 'items',
      doc: 'Distinct items in a sale. A sale that is open already keeps the number it was opened with.',
    },
    shards: {
      format: 'hotcakes-integer',
      env: 'APP_SHARDS',
      default: 1,
      min: 1,
      max: shardsMax,
      unit: 'shards',
      doc: 'Shards that the items of a sale are spread over, for sales that open from now on. Each has a log of its own, and in a cluster a Redis of its own. An embedded Redis is a cluster with more than one.',
    },
    userLimit: {
      format: 'hotcakes-integer',
      env: 'APP_USER_LIMIT',
      reload: true,
      default: 10,
      min: 1,
      max: 1_000,
      unit: 'items',
      doc: 'Live holds and purchases together that one user may have in one sale.',
    },
    saleIntervalSeconds: {
      format: 'hotcakes-integer',
      env: 'APP_SALE_INTERVAL_SECONDS',
      default: 3_600,
      min: 1,
      max: 30 * 86_400,
      unit: 'seconds',
      doc: 'A sale opens every so many seconds, counted from 1970-01-01T00:00:00Z. All servers on one Redis need the same; stop all to change it.',
    },
    holdSeconds: {
      format: 'hotcakes-integer',
      env: 'APP_HOLD_SECONDS',
      reload: true,
      default: 600,
      min: 1,
      max: holdSecondsMax,
      unit: 'seconds',
      doc: 'How long a checkout holds its item.',
    },
    ack: {
      format: 'hotcakes-choice',
      env: 'APP_ACK',
      reload: true,
      default: 'redis',
      choices: ['redis', 'replica', 'postgres'],
      doc: 'What has to have a decision before it is answered: Redis; all its replicas too, so that a failover loses no answer; or for a purchase Postgres too, so that even a lost disk of Redis loses none.',
    },
    dataDir: {
      ...path,
      env: 'APP_DATA_DIR',
      default: '.data',
      doc: 'Folder for the data of the embedded PostgreSQL and Redis. Relative to where the server is started.',
    },
    shutdownSeconds: {
      format: 'hotcakes-integer',
      env: 'APP_SHUTDOWN_SECONDS',
      default: 30,
      min: 1,
      max: 3_600,
      unit: 'seconds',
      doc: 'Deadline of an orderly shutdown; past it the server ends at once and says what was left.',
    },
    heartbeatSeconds: {
      format: 'hotcakes-integer',
      env: 'APP_HEARTBEAT_SECONDS',
      default: 10,
      // Children beat once a second: below three, one late beat would cost a healthy child its life.
      min: 3,
      max: 600,
      unit: 'seconds',
      doc: 'A child process that is silent for so long is hung: it is killed and replaced.',
    },
    deadlineMs: {
      format: 'hotcakes-integer',
      env: 'APP_DEADLINE_MS',
      reload: true,
      // Far above the 20 ms of a loaded server and the 100 ms of a disk's hiccup, which need no crowd of retries; and
      // soon enough that a buyer who is turned away can try again before losing interest.
      default: 500,
      min: 20,
      max: 10_000,
      unit: 'ms',
      doc: 'A checkout or purchase that can probably not be decided in this time is turned away with 503.',
    },
    connectionsMax: {
      format: 'hotcakes-integer',
      env: 'APP_CONNECTIONS_MAX',
      reload: true,
      // Some 10 KB of memory each, most of it the kernel's. Many clients keep one connection for a whole sale.
      default: 10_000,
      min: 1,
      max: 1_000_000,
      unit: 'connections',
      doc: 'Open connections of one HTTP worker; further ones are closed at once. Less where the process may open fewer files.',
    },
    connectionsPerAddressMax: {
      format: 'hotcakes-integer',
      env: 'APP_CONNECTIONS_PER_ADDRESS_MAX',
      reload: true,
      // Less than half of what one worker takes, so that no single address can keep all others out.
      default: 4_000,
      min: 0,
      max: 1_000_000,
      unit: 'connections',
      doc: 'Open connections of one client address (IPv6: one /64) with all workers together; for a moment there can be one more at each. 0: any number, as behind a proxy, which is one address.',
    },
    rateLimitPerSecond: {
      format: 'hotcakes-integer',
      env: 'APP_RATE_LIMIT_PER_SECOND',
      reload: true,
      default: 0,
      min: 0,
      max: 1_000_000,
      unit: 'requests',
      doc: 'Requests a second of one client address (IPv6: one /64) at one HTTP worker, health checks aside. 0: any number, as behind a proxy, which is one address.',
    },
    headersBytesMax: {
      format: 'hotcakes-integer',
      // The name that uWebSockets.js reads, and that people find when they look for its limit.
      env: 'UWS_HTTP_MAX_HEADERS_SIZE',
      reload: true,
      default: 4_096,
      // Less would refuse what browsers send by themselves; more than this would let each slow sender hold as much memory.
      min: 2_048,
      max: 262_144,
      unit: 'bytes',
      doc: 'First line and headers of a request together; more is answered 431. For shops with large cookies, which the API itself has no use for.',
    },
    allowedOrigins: {
      format: 'hotcakes-text',
      env: 'APP_ALLOWED_ORIGINS',
      reload: true,
      default: '',
      pattern: /^[^\p{Cc}]{1,4096}$/u,
      allowed: 'origins like https://shop.example.com, separated by commas, or *',
      doc: 'Origins whose pages may read the answers of the API (CORS); * is every origin. A page of the API itself needs none.',
    },
    recovery: {
      format: 'hotcakes-choice',
      env: 'APP_RECOVERY',
      default: 'auto',
      choices: ['auto', 'manual'],
      doc: 'What happens when Redis was emptied, or is an older copy: the live sales are rebuilt from Postgres at once, or when you run npm run recover. Nothing is sold before.',
    },
    logBacklogMax: {
      format: 'hotcakes-integer',
      env: 'APP_LOG_BACKLOG_MAX',
      reload: true,
      // An entry is one batch, a few KB under load; two busy workers write a few thousand a second. So this is about
      // half a minute without Postgres and some hundreds of MB of Redis' memory, which has to hold the log.
      default: 100_000,
      min: 100,
      max: 100_000_000,
      unit: 'log entries',
      doc: 'Decided batches not yet in Postgres above which selling stops for a while: Redis keeps them in its memory.',
    },
    recordDays: {
      format: 'hotcakes-integer',
      env: 'APP_RECORD_DAYS',
      default: 0,
      defaultMeans: 'any number',
      min: 0,
      max: 36_500,
      unit: 'days',
      doc: 'Days that attempts stay on record. Nothing is removed: while there are older ones, /readyz, a metric and the log say so, and npm run retire takes them out.',
    },
  },
  buyers: buyerSettings,
  db: {
    host: {
      ...host,
      env: 'DB_HOST',
      portEnv: 'DB_PORT',
      isFolderTaken: true,
      default: '',
      defaultMeans: 'an embedded PostgreSQL',
      doc: 'PostgreSQL server. When it is not set, the server runs a PostgreSQL of its own in APP_DATA_DIR, for one machine.',
    },
    port: { ...port, env: 'DB_PORT', needsHost: 'DB_HOST', default: 5432, doc: 'Port of the PostgreSQL server.' },
    user: {
      ...identifier,
      env: 'DB_USER',
      needsHost: 'DB_HOST',
      default: 'hotcakes',
      doc: 'User at the PostgreSQL server.',
    },
    password: {
      ...secret,
      env: 'DB_PASSWORD',
      needsHost: 'DB_HOST',
      default: '',
      defaultMeans: 'none',
      doc: 'Password of that user.',
    },
    ownerUser: {
      format: 'hotcakes-text',
      env: 'DB_OWNER_USER',
      needsHost: 'DB_HOST',
      default: '',
      defaultMeans: 'DB_USER',
      pattern: identifier.pattern,
      allowed: identifier.allowed,
      doc: 'User that owns the tables and sets them up at start, so that DB_USER need not be able to: see core/postgres/schema/access.',
    },
    ownerPassword: {
      ...secret,
      env: 'DB_OWNER_PASSWORD',
      needsHost: 'DB_HOST',
      default: '',
      defaultMeans: 'none',
      doc: 'Password of the owner.',
    },
    name: {
      ...identifier,
      env: 'DB_NAME',
      needsHost: 'DB_HOST',
      default: 'hotcakes',
      doc: 'Database, which must exist. The schema is set up at start.',
    },
    sslMode: {
      format: 'hotcakes-choice',
      env: 'DB_SSL_MODE',
      needsHost: 'DB_HOST',
      default: 'prefer',
      choices: ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'],
      meant: {
        ...anyOf(['true', 'on', 'yes', '1', 'enable', 'enabled'], 'require, or verify-full with DB_SSL_ROOT_CERT'),
        ...anyOf(['false', 'off', 'no', '0', 'disabled', 'none'], 'disable'),
        allow: 'prefer',
      },
      doc: 'Encryption to PostgreSQL, as libpq means it. Only verify-full also checks that it is the right server.',
    },
    sslRootCert: {
      ...path,
      env: 'DB_SSL_ROOT_CERT',
      needsHost: 'DB_HOST',
      default: '',
      defaultMeans: 'PGSSLROOTCERT, else ~/.postgresql/root.crt',
      doc: 'File with the authorities (PEM) that DB_SSL_MODE=verify-* trusts.',
    },
  },
  redis: redisSettings,
  tracing: tracingSettings,
  log: {
    level: {
      format: 'hotcakes-choice',
      env: 'LOG_LEVEL',
      reload: true,
      default: 'info',
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      meant: {
        ...anyOf(['verbose', 'all'], 'trace'),
        notice: 'info',
        critical: 'fatal',
        ...anyOf(['off', 'none', 'quiet'], 'silent'),
      },
      doc: 'Least severity of a log line.',
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Setting>>>>

type ValueOf<S> = S extends { choices: readonly (infer Choice)[] }
  ? Choice
  : S extends { format: 'hotcakes-integer' }
    ? number
    : S extends { format: 'hotcakes-boolean' }
      ? boolean
      : string

/** The values of all settings, in the shape of the table. */
export type SettingValues = {
  readonly [Group in keyof typeof settings]: {
    readonly [Name in keyof (typeof settings)[Group]]: ValueOf<(typeof settings)[Group][Name]>
  }
}

interface SettingPlace {
  readonly group: string
  readonly name: string
  readonly setting: Setting
}

/** The table as a list: `config[group][name]` is the setting's value. */
export const settingPlaces: readonly SettingPlace[] = Object.entries(settings).flatMap(([group, members]) =>
  Object.entries(members).map(([name, setting]) => ({ group, name, setting })),
)

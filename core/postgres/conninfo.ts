import {
  postgresConnectTimeoutSeconds,
  postgresKeepaliveIdleSeconds,
  postgresKeepaliveIntervalSeconds,
  postgresKeepalives,
} from '../limits.ts'

/** As `config.db` has them. */
export interface PostgresSettings {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly name: string
  readonly sslMode: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  /** File with the authorities that verify-* trusts; '' or absent: where libpq looks by itself. */
  readonly sslRootCert?: string
}

export interface PostgresOptions {
  /** Shown by pg_stat_activity. */
  readonly applicationName: string
  readonly statementTimeoutMs?: number
  /** It may set the tables up: see session.ts. */
  readonly maySetUp?: boolean
}

const msPerSecond = 1_000

/** libpq's connection string. It holds the password: never to be logged, nor put into an error. */
export function conninfo(settings: PostgresSettings, options: PostgresOptions): string {
  const unackedMs = (postgresKeepaliveIdleSeconds + postgresKeepalives * postgresKeepaliveIntervalSeconds) * msPerSecond
  const parameters = {
    host: settings.host,
    port: settings.port,
    user: settings.user,
    ...(settings.password === '' ? {} : { password: settings.password }),
    dbname: settings.name,
    sslmode: settings.sslMode,
    ...((settings.sslRootCert ?? '') === '' ? {} : { sslrootcert: settings.sslRootCert }),
    connect_timeout: postgresConnectTimeoutSeconds,
    application_name: options.applicationName,
    client_encoding: 'UTF8',
    // Synchronous calls can't be given a deadline from outside. So the kernel has to notice that the other side is
    // gone: keepalives while we wait for an answer, the user timeout while what we sent stays unacknowledged.
    keepalives: 1,
    keepalives_idle: postgresKeepaliveIdleSeconds,
    keepalives_interval: postgresKeepaliveIntervalSeconds,
    keepalives_count: postgresKeepalives,
    tcp_user_timeout: unackedMs,
    // PgBouncer refuses it, and absent it would be what PGOPTIONS says: session.ts sets what is needed.
    options: '',
  }
  return Object.entries(parameters)
    .map(([name, value]) => `${name}=${quoted(String(value))}`)
    .join(' ')
}

function quoted(value: string): string {
  return `'${value.replace(/[\\']/g, '\\$&')}'`
}

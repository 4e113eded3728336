import { host, path, port, secret } from './common-settings.ts'
import type { Setting } from './kinds.ts'

/** The settings of Redis, in the order in which they are shown: `config.redis`. */
export const redisSettings = {
  host: {
    ...host,
    env: 'REDIS_HOST',
    portEnv: 'REDIS_PORT',
    default: '',
    defaultMeans: 'an embedded Redis',
    doc: 'Redis (>= 7) or Valkey server. When neither it nor REDIS_CLUSTER is set, the server runs one of its own in APP_DATA_DIR, for one machine.',
  },
  port: {
    ...port,
    env: 'REDIS_PORT',
    needsHost: 'REDIS_HOST',
    isOfOneHost: true,
    default: 6379,
    doc: 'Port of the Redis server.',
  },
  cluster: {
    format: 'hotcakes-nodes',
    env: 'REDIS_CLUSTER',
    default: '',
    doc: 'Instead of REDIS_HOST: some nodes of a Redis (>= 7) or Valkey Cluster, which are asked where the shards are. Name several: one that is away is not asked.',
  },
  user: {
    format: 'hotcakes-text',
    env: 'REDIS_USER',
    needsHost: 'REDIS_HOST',
    default: '',
    defaultMeans: "Redis' user default",
    pattern: /^(?!.*:\/\/)[^\p{Cc} ]{1,63}$/u,
    allowed: '1 to 63 characters, none of them a space or a control character',
    doc: 'User at the Redis server. ops/deploy/redis/users.acl has one with the least rights.',
  },
  password: {
    ...secret,
    env: 'REDIS_PASSWORD',
    needsHost: 'REDIS_HOST',
    default: '',
    defaultMeans: 'none',
    doc: 'Password of that user.',
  },
  tls: {
    format: 'hotcakes-boolean',
    env: 'REDIS_TLS',
    needsHost: 'REDIS_HOST',
    default: false,
    doc: 'Encryption to Redis. Its certificate and name are always checked.',
  },
  tlsCa: {
    ...path,
    env: 'REDIS_TLS_CA',
    needsHost: 'REDIS_HOST',
    default: '',
    defaultMeans: 'those that Node.js knows, and NODE_EXTRA_CA_CERTS',
    doc: 'File with the authorities (PEM) that REDIS_TLS trusts.',
  },
  ttlHours: {
    format: 'hotcakes-integer',
    env: 'REDIS_TTL',
    default: 24,
    min: 1,
    max: 8_760,
    unit: 'hours',
    doc: 'How long after its end Redis keeps a sale. It must not be shorter than APP_HOLD_SECONDS.',
  },
  requireDurable: {
    format: 'hotcakes-boolean',
    env: 'REDIS_REQUIRE_DURABLE',
    default: true,
    doc: 'Refuse to start against a Redis that could lose what it acknowledged (no append-only file, or evictions).',
  },
} as const satisfies Readonly<Record<string, Setting>>

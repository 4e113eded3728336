import type { Config } from '../../core/config/load.ts'
import { attachEmbedded } from './embedded.ts'

/**
 * For a tool beside the server: runs `work` with the settings of the services that the server has, embedded ones included.
 * @param say gets warnings, as sentences for people
 */
export async function withServices<Result>(
  config: Config,
  say: (text: string) => void,
  work: (effective: Config) => Promise<Result>,
): Promise<Result> {
  const { app, db, redis } = config
  if (!db.embedded && !redis.embedded) return await work(config)
  const services = await attachEmbedded({
    dataDir: app.dataDir,
    postgres: db.embedded,
    redis: redis.embedded,
    shards: app.shards,
    log: { info: () => undefined, warn: (fields, message) => say(`${message} ${JSON.stringify(fields)}`) },
  })
  try {
    return await work({ ...config, db: { ...db, ...services.db }, redis: { ...redis, ...services.redis } })
  } finally {
    await services.stop()
  }
}

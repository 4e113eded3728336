import { redisPlace } from '../../core/config/cluster-nodes.ts'
import { cpuQuota } from '../../core/config/cores.ts'
import { hostAndPort, localUrl } from '../../core/config/listen-hosts.ts'
import type { Config } from '../../core/config/load.ts'
import { formatItemId } from '../../core/ids.ts'
import type { Log } from '../../core/log.ts'
import type { SaleState } from '../../core/redis/sale-store.ts'

export interface GreetingOptions {
  readonly config: Config
  readonly log: Log
  /** The sale that is open; undefined when Redis could not say. */
  readonly sale: SaleState | undefined
  readonly tookMs: number
}

/** Says that the service is ready and how to try it: as a few lines on a terminal, otherwise as one log line. */
export function greet(options: GreetingOptions): void {
  const { config, log, sale, tookMs } = options
  const { app } = config
  const api = localUrl(app.host, app.port)
  const docs = `${api}/docs`
  const metrics = `${localUrl(app.metricsHost, app.metricsPort)}/metrics`
  const firstItem = sale && formatItemId(sale.sale, 1)
  const [token, user] =
    config.buyers.mode === 'signed'
      ? ['-H "Authorization: Bearer $(npm run -s token -- --user me)" ', '']
      : ['', 'user_id=me&']
  const tryIt = firstItem && `curl -X POST ${token}'${api}/checkout?${user}id=${firstItem}'`
  const closesAt = sale && new Date(sale.closesAtMs).toISOString()
  if (!process.stdout.isTTY) {
    log.info(
      {
        api,
        docs,
        metrics,
        workers: app.workers,
        cpuQuota: cpuQuota(),
        sale: sale?.sale,
        closesAt,
        items: sale?.items,
        shards: severalOf(config.shardCount),
        firstItem,
        tryIt,
        tookMs,
      },
      'ready',
    )
    return
  }
  const lines = [
    ['Listening', `${api} (${workersOf(app.workers)})`],
    ['Board', api],
    ['API', docs],
    ['Metrics', metrics],
    ['Data', dataOf(config)],
    ['Shards', severalOf(config.shardCount)?.toString()],
    ['Sale', sale && `${sale.sale}: ${sale.items} items, closes at ${closesAt}`],
    ['First item', firstItem],
    ['Try it', tryIt],
    ['Stop it', 'Ctrl+C'],
  ].filter(([, text]) => text !== undefined)
  const shown = lines.map(([name = '', text]) => `  ${name.padEnd(12)}${text}\n`).join('')
  process.stdout.write(`\nhotcakes is ready after ${(tookMs / 1_000).toFixed(1)} s.\n\n${shown}\n`)
}

/** Where there is one, nobody needs to know of shards. */
function severalOf(count: number): number | undefined {
  return count > 1 ? count : undefined
}

function workersOf(count: number): string {
  const quota = cpuQuota()
  const workers = `${count} ${count === 1 ? 'worker' : 'workers'}`
  return quota === undefined ? workers : `${workers}, the CPU quota is ${quota} cores`
}

function dataOf({ app, db, redis }: Config): string {
  if (db.embedded && redis.embedded) return `Redis and PostgreSQL, embedded in ${app.dataDir}`
  const postgres = db.embedded
    ? `PostgreSQL embedded in ${app.dataDir}`
    : `PostgreSQL at ${hostAndPort(db.host, db.port)}`
  const store = redis.embedded ? `Redis embedded in ${app.dataDir}` : redisPlace(redis)
  return `${store}, ${postgres}`
}

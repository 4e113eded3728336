// Goal: what docs/OPERATING.md says of a full disk holds: what goes on, what stops, and that nothing acknowledged is lost.
// Method: the real server on services whose disk is a small one, filled to its last byte while buyers buy.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { revive } from './faults/arena-services.ts'
import { mountObstacle, SmallDisk } from './faults/small-disk.ts'
import { runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { checkout, currentSale, purchase } from './helpers/items.ts'
import { stillRunning } from './helpers/processes.ts'
import { openPostgres } from './helpers/record.ts'
import { tellSome, untilSelling } from './helpers/recovering-shop.ts'
import type { Scope } from './helpers/scope.ts'
import { openRedis, servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

const skip = mountObstacle ?? false
/** Of more items than the crowds ask for until it is over: each buyer wants another one. */
const shop = {
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_ITEM_NUMBER: '1000000',
  APP_USER_LIMIT: '3',
  APP_WORKERS: '1',
}
const reviveMsMax = 120_000
/** Enough that tables and logs have to grow. */
const crowdSize = 50
/** Before each. */
const crowdPauseMs = 50

/** What ends in the reverse order of its beginning: a disk can be taken away when nobody uses it any more. */
function stacked(t: TestContext): Scope {
  const releases: (() => void | Promise<void>)[] = []
  t.after(async () => {
    for (const release of releases) await release()
  })
  return { after: (release) => releases.unshift(release) }
}

/** Each time other buyers, of whom all or some are turned away. */
class Crowd {
  readonly #cluster: Cluster
  readonly #sale: number
  #came = 0
  readonly codes: string[] = []

  constructor(cluster: Cluster, sale: number) {
    this.#cluster = cluster
    this.#sale = sale
  }

  /** Answers how many were turned away. */
  async comes(): Promise<number> {
    await delay(crowdPauseMs)
    const first = 100 + this.#came
    this.#came += crowdSize
    const buyers = Array.from({ length: crowdSize }, (_, n) => first + n)
    const replies = await Promise.all(buyers.map((n) => checkout(this.#cluster, `buyer-${n}`, `${this.#sale}-${n}`)))
    for (const { json } of replies)
      if (typeof json?.['code'] === 'string' && json['item_id']) this.codes.push(json['code'])
    return replies.filter(({ status }) => status !== 200).length
  }
}

/** All that was acknowledged is there: a purchase is the same again, and every code buys. */
async function assertNothingLost(
  cluster: Cluster,
  told: Awaited<ReturnType<typeof tellSome>>,
  codes: readonly string[],
) {
  assert.equal((await purchase(cluster, told.bought)).text, told.receipt.text)
  for (const code of [told.held, told.heldByBob, ...codes]) {
    const { status, text } = await purchase(cluster, code)
    assert.equal(status, 200, text)
  }
  const audit = await runAuditJson(cluster.env)
  assert.equal(audit.verdict, 'passed', JSON.stringify(audit.checks.filter(({ breaches }) => breaches > 0)))
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
}

async function startOn(scope: Scope, disks: { redis?: SmallDisk; postgres?: SmallDisk }) {
  const [redis, postgres] = await Promise.all([
    startRedis(scope, disks.redis && { folder: disks.redis.folder }),
    startPostgres(scope, { durable: true, ...(disks.postgres && { folder: disks.postgres.folder }) }),
  ])
  const env = { ...shop, ...servicesEnv({ redis: redis.connection, db: postgres.connection }) }
  const cluster = await startCluster(scope, { env })
  const told = await tellSome(cluster)
  return { redis, postgres, cluster, told, crowd: new Crowd(cluster, told.sale) }
}

test('with the disk of Postgres full it goes on selling, says so, and all arrives when there is room', {
  skip,
}, async (t) => {
  const scope = stacked(t)
  const disk = SmallDisk.mount(scope, 256)
  const { postgres, cluster, told, crowd } = await startOn(scope, { postgres: disk })
  disk.fill()
  await eventually(
    async () => {
      assert.equal(await crowd.comes(), 0)
      const { status, checks } = (await cluster.http.get('/readyz')).json as { status: string; checks: Checks }
      return status === 'degraded' && ['refused', 'away'].includes(checks['postgres']?.status ?? '')
    },
    { what: 'that Postgres takes no rows' },
  )
  disk.free()
  const ask = () => Promise.resolve(openPostgres(scope, postgres.connection).query('select'))
  t.diagnostic(await revive(postgres, { ask, deadlineMs: reviveMsMax }))
  await assertNothingLost(cluster, told, crowd.codes.slice(-20))
})

type Checks = Readonly<Record<string, { readonly status: string } | undefined>>

test('with its disk full Redis ends, and nothing that was acknowledged is lost', { skip }, async (t) => {
  const scope = stacked(t)
  const disk = SmallDisk.mount(scope, 64)
  const { redis, cluster, told, crowd } = await startOn(scope, { redis: disk })
  disk.fill()
  await eventually(async () => (await crowd.comes()) === crowdSize, { what: 'that nobody can buy' })
  await eventually(() => stillRunning([redis.pid()]).length === 0, { what: 'the end of Redis' })
  disk.free()
  t.diagnostic(
    await revive(redis, { ask: async () => (await openRedis(scope, redis.admin)).ping(), deadlineMs: reviveMsMax }),
  )
  await untilSelling(cluster)
  await assertNothingLost(cluster, told, crowd.codes.slice(-20))
})

test('with its folder full the server ends with its embedded services, and the next start goes on', {
  skip,
}, async (t) => {
  const scope = stacked(t)
  const disk = SmallDisk.mount(scope, 384)
  const dataDir = join(disk.folder, 'data')
  const first = await startCluster(scope, { env: shop, dataDir })
  const told = await tellSome(first)
  const crowd = new Crowd(first, await currentSale(first))
  await crowd.comes()
  disk.fill()
  const ended = first.exited.then(() => true)
  const isOver = async () => (await Promise.race([ended, crowd.comes()])) === true
  await eventually(isOver, { what: 'the end of the server' })
  const { code } = await first.exited
  assert.notEqual(code, 0)
  assert.ok(
    first.logLines().some((line) => line.includes('HC_EMBEDDED_FAILED')),
    first.logLines().join('\n'),
  )
  disk.free()
  const again = await startCluster(scope, { env: shop, dataDir })
  await assertNothingLost(again, told, crowd.codes.slice(-20))
})

import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'

import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { codeOf, currentSale } from './helpers/items.ts'
import { openPostgres, recordedAttempts } from './helpers/record.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'

test('with the folder of a Unix socket for DB_HOST every process reaches Postgres, and sells', async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(t), startPostgres(t)])
  const { port } = postgres.connection
  const folder = temporaryFolder(t)
  let connections = 0
  // Postgres is started without a socket in the file system: this one leads to it.
  const socket = createServer((client) => {
    connections += 1
    const server = connect(port, postgres.connection.host)
    for (const end of [client, server]) end.on('error', () => undefined)
    client.pipe(server).pipe(client)
  })
  await new Promise<void>((resolve) => socket.listen(join(folder, `.s.PGSQL.${port}`), resolve))
  t.after(() => socket.close())

  const services = servicesEnv({ redis: redis.connection, db: postgres.connection })
  const env = { ...services, DB_HOST: folder, APP_SALE_INTERVAL_SECONDS: String(30 * 86_400) }
  const cluster = await startCluster(t, { env })
  const sale = await currentSale(cluster)
  const code = codeOf(await cluster.http.post(`/checkout?user_id=me&id=${sale}-1`))
  assert.equal((await cluster.http.post(`/purchase?code=${code}`)).status, 200)

  const record = openPostgres(t, postgres.connection)
  await eventually(() => recordedAttempts(record).length === 2)
  // On a busy machine a read may be given up.
  const isRead = async () => (await cluster.http.get('/users/me/purchases')).status === 200
  await eventually(isRead, { what: 'a worker to read' })
  assert.equal((await cluster.stop()).code, 0)
  assert.ok(connections >= 3, `${connections} connections came over the socket`)
})

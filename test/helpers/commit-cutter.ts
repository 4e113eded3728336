import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

import type { EmbeddedPostgres } from '../../ops/embedded/facts.ts'
import type { Scope } from './scope.ts'

/** Between a client and Postgres: lets everything pass, but can lose the answer to a COMMIT and the connection with it. */
export interface CommitCutter {
  /** Postgres, through this. */
  readonly db: EmbeddedPostgres
  /** How many answers were lost so far. */
  readonly cutCount: () => number
  /** Loses the answers to the next so many COMMITs. */
  cutNext(count: number): void
}

export async function startCommitCutter(scope: Scope, db: EmbeddedPostgres): Promise<CommitCutter> {
  const sockets = new Set<Socket>()
  let toCut = 0
  let cut = 0
  const server = createServer((client) => {
    const upstream = connect(db.port, db.host)
    let isCommitting = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (data) => {
      isCommitting ||= toCut > 0 && data.includes('commit')
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (!isCommitting) {
        client.write(data)
        return
      }
      toCut -= 1
      cut += 1
      client.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    db: { ...db, host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    cutCount: () => cut,
    cutNext: (count) => (toCut = count),
  }
}

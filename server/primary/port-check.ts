import { createServer, type Server } from 'node:net'

import { hostAndPort, listenHosts } from '../../core/config/listen-hosts.ts'
import { Fault } from '../../core/faults.ts'

interface Place {
  readonly host: string
  readonly port: number
  /** The variable that sets the port. */
  readonly setting: string
}

/** What a bind says to an address of a family that the kernel has switched off. */
const absentCodes: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])

/**
 * Checks that nobody listens there yet. HTTP workers listen with SO_REUSEPORT, so a second server on the same port
 * would not fail: it would silently take half of the first one's connections. This bind is without SO_REUSEPORT, and
 * fails. Two servers that start in the very same moment can still both pass.
 * @throws Fault HC_PORT_IN_USE; HC_CONFIG when the address is none of this machine's or the port is not allowed
 */
export async function assertPortFree(place: Place): Promise<void> {
  const servers = await listenAt(place, () => createServer())
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
}

/**
 * A server on every address that the host stands for.
 * @throws Fault HC_PORT_IN_USE | HC_CONFIG
 */
export async function listenAt<S extends Server>(place: Place, create: () => S): Promise<S[]> {
  const choices = listenHosts(place.host)
  for (const [n, hosts] of choices.entries()) {
    const servers: S[] = []
    let host = place.host
    try {
      for (host of hosts) servers.push(await listening(create(), { host, port: place.port }))
      return servers
    } catch (cause) {
      for (const server of servers) server.close()
      const error = cause as NodeJS.ErrnoException
      if (n === choices.length - 1 || !absentCodes.has(error.code)) throw bindFault(error, { ...place, host })
    }
  }
  return []
}

async function listening<S extends Server>(server: S, { host, port }: { host: string; port: number }): Promise<S> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, resolve)
  })
  return server
}

/** What it means that a bind failed. */
function bindFault(error: NodeJS.ErrnoException, { host, port, setting }: Place): Fault {
  const where = hostAndPort(host, port)
  if (error.code === 'EADDRINUSE') {
    return new Fault('HC_PORT_IN_USE', `another process listens on ${where}: stop it, or set ${setting} to a free port`)
  }
  const meaning = error.code === 'EACCES' ? 'this user may not listen there' : `it can't be listened on (${error.code})`
  return new Fault('HC_CONFIG', `${where}, set by ${setting}: ${meaning}`, { cause: error })
}

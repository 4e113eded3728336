import { createServer } from 'node:net'

import { Fault } from '../core/faults.ts'

/**
 * Checks that nobody listens there yet. HTTP workers listen with SO_REUSEPORT, so a second server on the same port
 * would not fail: it would silently take half of the first one's connections. This bind is without SO_REUSEPORT, and
 * fails. Two servers that start in the very same moment can still both pass.
 * @throws Fault HC_PORT_IN_USE; HC_CONFIG when the address is none of this machine's or the port is not allowed
 */
export async function assertPortFree(options: { host: string; port: number; setting: string }): Promise<void> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: options.host, port: options.port, exclusive: true }, resolve)
    })
  } catch (error) {
    throw bindFault(error as NodeJS.ErrnoException, options)
  }
  await new Promise((resolve) => server.close(resolve))
}

/** What it means that a bind failed. */
export function bindFault(
  error: NodeJS.ErrnoException,
  { host, port, setting }: { host: string; port: number; setting: string },
): Fault {
  const where = `${host}:${port}`
  if (error.code === 'EADDRINUSE') {
    return new Fault('HC_PORT_IN_USE', `another process listens on ${where}: stop it, or set ${setting} to a free port`)
  }
  const meaning = error.code === 'EACCES' ? 'this user may not listen there' : `it can't be listened on (${error.code})`
  return new Fault('HC_CONFIG', `${where}, set by ${setting}: ${meaning}`, { cause: error })
}

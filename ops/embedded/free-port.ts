import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 that was free a moment ago. Another process may take it first.
 * @param preferred taken if it is free
 */
export async function freePort(preferred?: number): Promise<number> {
  const any = () => listenOnce(0)
  return preferred === undefined ? await any() : await listenOnce(preferred).catch(any)
}

function listenOnce(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

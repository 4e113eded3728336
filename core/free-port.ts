import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { portsRefusedByBrowsers } from './refused-ports.ts'

/**
 * Below the ports that a system gives to whoever connects: one of those can be taken by any connection before its server
 * listens. Worse, while that server is away, a client that connects to it again and again is once given that very port, and
 * then speaks to itself.
 */
const portMin = 10_000
/** Linux's first port for connections where nobody has set another. */
const defaultFirstOfConnections = 32_768
/** Above what a crowded machine needs: a port at random is taken once in hundreds of times. */
const attemptsMax = 100

/**
 * A port of 127.0.0.1 that was free a moment ago, for a server. Nobody else who asks here is given it while this process lives:
 * on a busy machine seconds pass until its server listens. Another server may still take it first.
 * @param preferred taken if it is free
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await claim(preferred)) && (await isFree(preferred))) return preferred
  const max = firstOfConnections()
  const attempts = max > portMin ? attemptsMax : 0
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const port = randomInt(portMin, max)
    // Claimed first: to see whether it is free takes it for a moment, from whoever is about to listen there.
    if (!claimed.has(port) && (await claim(port)) && (await isFree(port))) return port
  }
  return await listenOnce(0)
}

/** proc_sys_net(5), ip_local_port_range: of IPv6 too. */
function firstOfConnections(): number {
  try {
    const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)
    return Number(first)
  } catch {
    return defaultFirstOfConnections
  }
}

/** By this process. */
const claimed = new Set<number>()

/** By a UDP socket on the same number, which nothing of ours uses: the kernel gives it to one process, and takes it from a dead one. */
async function claim(port: number): Promise<boolean> {
  if (claimed.has(port)) return true
  const socket = createSocket('udp4')
  try {
    socket.bind({ port, address: '127.0.0.1', exclusive: true })
    await once(socket, 'listening')
  } catch {
    return false // somebody else's
  }
  socket.unref()
  claimed.add(port)
  return true
}

async function isFree(port: number): Promise<boolean> {
  if (portsRefusedByBrowsers.has(port)) return false
  return await listenOnce(port).then(
    () => true,
    () => false,
  )
}

function listenOnce(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(wanted, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : wanted))
    })
  })
}

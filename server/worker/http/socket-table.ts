import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'

import { addressKey } from './client-address.ts'

/** The kernel's tables of this network namespace's TCP sockets. A kernel without IPv6 has only the first. */
const tables = ['/proc/self/net/tcp', '/proc/self/net/tcp6'] as const

/**
 * How many connections to the port each client has, by `addressKey`: those of all processes that listen on it.
 * @throws Error of the system, where the kernel has no such table
 */
export async function connectionsByAddress(port: number): Promise<Map<string, number>> {
  const [ipv4, ipv6] = await Promise.all([
    readFile(tables[0], 'latin1'),
    readFile(tables[1], 'latin1').catch(emptyWithoutTable), // IPv6 may be switched off
  ])
  const counts = new Map<string, number>()
  countClients(ipv4, port, counts)
  countClients(ipv6, port, counts)
  return counts
}

function emptyWithoutTable(error: NodeJS.ErrnoException): string {
  if (error.code !== 'ENOENT') throw error
  return ''
}

/** Adds the clients of one table, as the kernel prints it, to the counts. */
export function countClients(table: string, port: number, counts: Map<string, number>): void {
  // Local address and port, remote ones, state: 01 is an open connection, 08 one that the client has half closed.
  const local = `[0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')}`
  for (const [, remote] of table.matchAll(new RegExp(`: ${local} ([0-9A-F]+):[0-9A-F]{4} (?:01|08) `, 'g'))) {
    const key = addressKey(addressBytes(remote as string))
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
}

/** The kernel prints an address as words of 32 bits, each as the machine would read a number out of its bytes. */
function addressBytes(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, 'hex')
  return endianness() === 'LE' ? bytes.swap32() : bytes
}

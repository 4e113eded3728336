/** REDIS_CLUSTER: the nodes that are asked where the shards are. */

import { clusterNodesListedMax } from '../limits.ts'
import { hostProblem } from './host-problem.ts'
import { hostAndPort } from './listen-hosts.ts'
import { wrappingHint } from './pasted.ts'

/** Where a node of a cluster takes its clients. */
export interface NodeAddress {
  readonly host: string
  readonly port: number
}

const example = '10.0.0.1:6379,10.0.0.2:6379'

export const nodesAllowed = `addresses with ports, separated by commas, like ${example} (${clusterNodesListedMax} at most)`

/** The nodes in a text that has no problem. */
export function listedNodes(text: string): NodeAddress[] {
  return entriesOf(text).flatMap((entry) => addressIn(entry) ?? [])
}

/** What keeps a text from being a list of nodes. Of the text itself it repeats nothing: a URL may hold a password. */
export function nodesProblem(text: string): string | undefined {
  const wrapped = wrappingHint(text)
  if (wrapped !== undefined) return wrapped
  const entries = entriesOf(text)
  if (entries.length === 0) return 'it names no node'
  if (entries.length > clusterNodesListedMax) return `it names ${entries.length} nodes: some of them are enough`
  const spellings = entries.map(spellingOf)
  for (const [at, entry] of entries.entries()) {
    const problem = entryProblem(entry)
    if (problem !== undefined) return `entry ${at + 1}: ${problem}`
    const first = spellings.indexOf(spellings[at] as string)
    if (first < at) return `entry ${at + 1} is the same as entry ${first + 1}`
  }
  return undefined
}

/** Where Redis is, for people: one server, or the nodes that are asked. */
export function redisPlace({ host, port, cluster = '' }: { host: string; port: number; cluster?: string }): string {
  return cluster === '' ? `Redis at ${hostAndPort(host, port)}` : `the Redis Cluster at ${cluster}`
}

function entriesOf(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

function spellingOf(entry: string): string {
  const address = addressIn(entry)
  return address === undefined ? entry : hostAndPort(address.host, address.port).toLowerCase()
}

function addressIn(entry: string): NodeAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(entry) ?? []
  const host = bracketed ?? plain
  return host === undefined ? undefined : { host, port: Number(digits) }
}

function entryProblem(entry: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(entry)?.[1]
  if (scheme !== undefined) {
    const user = entry.includes('@') ? ', put user and password into REDIS_USER and REDIS_PASSWORD' : ''
    const tls = scheme.toLowerCase() === 'rediss' ? ', and set REDIS_TLS=true' : ''
    return `write the host and the port of this URL alone${user}${tls}`
  }
  if (/:\d{1,5}@\d{1,5}$/.test(entry)) return 'leave out the @ and the port of the bus behind it'
  if (entry.includes('@')) return 'no user belongs in it, put user and password into REDIS_USER and REDIS_PASSWORD'
  if (entry.startsWith('/')) return 'a Unix socket is not supported, only TCP'
  if (/[\s;]/.test(entry)) return 'separate nodes by commas'
  const address = addressIn(entry)
  if (address === undefined) {
    if (!entry.startsWith('[') && entry.split(':').length > 2) return 'write an IPv6 address in brackets: [::1]:6379'
    return 'it has no port: write host:port'
  }
  if (address.port < 1 || address.port > 65_535) return 'its port must be from 1 to 65535'
  return hostProblem(address.host, { env: 'REDIS_CLUSTER', portEnv: '', isFolderTaken: false })
}
